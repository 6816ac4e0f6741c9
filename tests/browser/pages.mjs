// Every page, in the light and in the dark, on a phone and on a desktop: nothing that keeps anybody
// out (axe), nothing wider than the window, nothing from elsewhere, nothing that the policy refuses.

import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { DESKTOP, PHONE, expectRefusal, leave, start, visit } from './browser.mjs';
import { Person, origin } from './people.mjs';
import { AxeBuilder } from './tools.mjs';
import { settle } from './village.mjs';

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
// The narrowest phones in use.
const NARROW = { width: 320, height: 640 };
const SCRIPT_BYTES = 20_000;

let [browser, village, nobody] = [];
before(async () => {
  browser = await start();
  village = await settle(0.25);
  nobody = await Person.signUp('quiet');
  // A name, and words without a space, that are as long as they may be.
  const long = await Person.signUp('', 'W'.repeat(64), 'w'.repeat(30));
  await long.ask('PATCH', '/me', { json: { bio: 'w'.repeat(150) } });
  village.long = await long.post([1], { caption: 'w'.repeat(300), location: 'w'.repeat(100), alts: ['w'], size: [64, 64] });
  await long.comment(village.long, 'w'.repeat(300));
  await nobody.comment(village.long, 'Hm.');
});
after(() => browser.close());

// The pages: who looks, the address, and what is done there first.
const PAGES = {
  'the welcome': { path: () => '/' },
  'the log-in': { path: () => '/login?next=/new' },
  'the log-in, refused': { path: () => '/login', status: 401, act: (page) => send(page, { 'User name': 'nobody', Password: 'x' }, 'Log in') },
  'the sign-up': { path: () => '/signup' },
  'the sign-up with faults': { path: () => '/signup', status: 422, act: (page) => send(page, { 'User name': 'a b', Password: 'x' }, 'Sign up') },
  'a post, signed out': { path: () => `/p/${village.posts[2].id}` },
  'the feed': { who: () => village.people[0], path: () => '/' },
  'an empty feed': { who: () => nobody, path: () => '/' },
  explore: { who: () => nobody, path: () => '/explore' },
  'a post of one photo': { who: () => nobody, path: () => `/p/${village.posts[0].id}` },
  'a post of several photos': { who: () => nobody, path: () => `/p/${village.posts[2].id}` },
  "one's own post": { who: () => village.people[0], path: () => `/p/${village.posts[0].id}`, act: (page) => page.locator('summary').click() },
  'a post of long words': { who: () => nobody, path: () => `/p/${village.long.id}` },
  'a profile': { who: () => nobody, path: () => '/u/maya.brooks' },
  'a profile of long words': { who: () => nobody, path: () => `/u/${'w'.repeat(30)}` },
  "one's own profile": { who: () => village.people[0], path: () => '/u/maya.brooks' },
  'an empty profile': { who: () => nobody, path: () => `/u/${nobody.name}` },
  followers: { who: () => nobody, path: () => '/u/maya.brooks/followers' },
  following: { who: () => nobody, path: () => `/u/${nobody.name}/following` },
  saved: { who: () => village.people[1], path: () => '/saved' },
  likes: { who: () => nobody, path: () => `/p/${village.posts[0].id}/likes` },
  'a search': { who: () => nobody, path: () => '/search?q=m' },
  'a search without results': { who: () => nobody, path: () => '/search?q=zz' },
  'the composer': { who: () => nobody, path: () => '/new' },
  'the composer with faults': {
    who: () => nobody, path: () => '/new', status: 415,
    act: async (page) => {
      await page.getByLabel('Photos', { exact: true }).setInputFiles({ name: 'a.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('no') });
      // As without scripts, so that the page comes from the server; axe itself needs scripts.
      await page.evaluate(() => document.querySelector('[data-composer]').submit());
      await page.locator('.fault').first().waitFor();
    },
  },
  settings: { who: () => nobody, path: () => '/settings' },
  'saved posts': { who: () => nobody, path: () => '/saved' },
  'the page of what is not there': { who: () => nobody, path: () => '/nothing', status: 404 },
  'what went wrong': { who: () => nobody, path: () => '/logout', status: 405 },
};

async function send(page, fields, button) {
  for (const [label, text] of Object.entries(fields)) await page.getByLabel(label).fill(text);
  await page.getByRole('button', { name: button, exact: true }).click();
  await page.locator('.fault').first().waitFor();
}

async function assertFits(page, name) {
  const { scrollWidth, clientWidth, widest } = await page.evaluate(() => {
    const { scrollWidth: wide, clientWidth: window } = document.documentElement;
    const over = [...document.querySelectorAll('body *')].filter((element) => {
      return element.getBoundingClientRect().right > window + 1 && !element.closest('.slides, .unseen, .skip, .photo, .previews');
    });
    return { scrollWidth: wide, clientWidth: window, widest: over.map((element) => element.outerHTML.slice(0, 90)).slice(0, 3) };
  });
  assert.ok(scrollWidth <= clientWidth, `${name} is ${scrollWidth} wide in a window of ${clientWidth}: ${widest.join('\n')}`);
}

async function assertAccessible(page, name, { colours = false } = {}) {
  // The legacy mode spares a window for each look, which only frames of other sites need.
  const axe = new AxeBuilder({ page }).setLegacyMode();
  const { violations } = await (colours ? axe.withRules(['color-contrast']) : axe.withTags(RULES)).analyze();
  const found = violations.flatMap(({ id, help, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${help}\n  ${html.slice(0, 200)}\n  ${failureSummary}`));
  assert.deepEqual(found, [], name);
}

function assertStrict(headers, name) {
  const policy = Object.fromEntries(headers['content-security-policy'].split(';').map((part) => {
    const [directive, ...sources] = part.trim().split(/\s+/);
    return [directive, sources.join(' ')];
  }));
  assert.equal(policy['default-src'], "'none'", name);
  assert.equal(policy['script-src'], "'self'", name);
  assert.equal(policy['style-src'], "'self'", name);
  for (const directive of ['base-uri', 'frame-ancestors']) assert.equal(policy[directive], "'none'", name);
  assert.equal(policy['form-action'], "'self'", name);
  assert.doesNotMatch(headers['content-security-policy'], /unsafe|\*|https?:/, name);
  assert.equal(headers['x-content-type-options'], 'nosniff', name);
}

for (const [name, { who, path, status, act }] of Object.entries(PAGES)) {
  test(name, { timeout: 120_000 }, async () => {
    const page = await visit(browser, { person: who?.(), viewport: PHONE });
    if (status) expectRefusal(page, status);
    const reply = await page.goto(path());
    assert.equal(reply.status(), act || !status ? 200 : status);
    assertStrict(reply.headers(), name);
    if (act) await act(page);
    for (const viewport of [PHONE, DESKTOP]) {
      await page.setViewportSize(viewport);
      await assertAccessible(page, `${name}, ${viewport.width} wide`);
      await assertFits(page, name);
      // The dark differs in nothing but colours.
      await page.emulateMedia({ colorScheme: 'dark' });
      await assertAccessible(page, `${name}, ${viewport.width} wide, in the dark`, { colours: true });
      await page.emulateMedia({ colorScheme: 'light' });
    }
    await page.setViewportSize(NARROW);
    await assertFits(page, name);
    await leave(page);
  });
}

test('the documentation of the API is shown, with nothing from elsewhere', async () => {
  const page = await visit(browser, { viewport: DESKTOP });
  await page.goto('/docs/');
  await page.locator('.opblock').first().waitFor();
  const { paths } = await (await fetch(new URL('/openapi.json', page.url()))).json();
  const operations = Object.values(paths).flatMap((item) => Object.values(item).filter(({ operationId }) => operationId));
  assert.equal(await page.locator('.opblock').count(), operations.length);
  await leave(page);
});

test('what pages load is under names that change with it, and small', async () => {
  const page = await visit(browser, { person: village.people[0] });
  const scripts = new Map();
  const assets = new Set();
  page.on('response', async (response) => {
    const { pathname } = new URL(response.url());
    if (!pathname.startsWith('/assets/')) return;
    assets.add(pathname);
    assert.match(pathname, /^\/assets\/[a-z]+\.[\w-]{16}\.[a-z]+$/);
    const headers = response.headers();
    assert.match(headers['cache-control'], /max-age=31536000.*immutable/, pathname);
    if (pathname.endsWith('.js')) scripts.set(pathname, (await response.body()).length);
  });
  for (const path of ['/', '/new', '/settings', '/explore', `/p/${village.posts[0].id}`]) {
    await page.goto(path, { waitUntil: 'networkidle' });
  }
  const bytes = [...scripts.values()].reduce((sum, size) => sum + size, 0);
  assert.ok(scripts.size >= 4 && assets.size > scripts.size, [...assets].join());
  assert.ok(bytes < SCRIPT_BYTES, `the scripts have ${bytes} bytes`);
  console.log(`figure browser_scripts_bytes ${bytes} (bar < ${SCRIPT_BYTES})`);
  await leave(page);
});

test('a photo grows from the grid to its page', async () => {
  const page = await visit(browser, { person: village.people[0], motion: true });
  await page.addInitScript(() => addEventListener('pagereveal', (event) => {
    document.documentElement.dataset.transition = String(event.viewTransition !== null);
  }));
  await page.goto('/u/maya.brooks');
  await page.locator('.grid a').first().click();
  await page.waitForURL(`${origin}/p/*`);
  await page.locator('html[data-transition=true]').waitFor();
  await page.getByRole('link', { name: 'Home' }).click();
  await page.waitForURL(`${origin}/`);
  await leave(page);
});
