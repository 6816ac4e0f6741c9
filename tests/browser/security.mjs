// What other sites and other people could try by way of somebody's browser.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test, { after, before } from 'node:test';
import { leave, start, visit } from './browser.mjs';
import { PASSWORD, Person, origin } from './people.mjs';

let browser;
before(async () => { browser = await start(); });
after(() => browser.close());

async function logIn(page, person) {
  await page.goto('/login');
  await page.getByLabel('User name').fill(person.name);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('link', { name: 'Profile' }).waitFor();
}

test('no script reads the session, and a log-out ends it', async () => {
  const person = await Person.signUp('cookie');
  const page = await visit(browser);
  await logIn(page, person);
  const [cookie] = (await page.context().cookies()).filter(({ name }) => name === 'session');
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path, cookie.domain], [true, 'Lax', '/', '127.0.0.1']);
  assert.equal(await page.evaluate(() => document.cookie), '');

  const asks = (value) => fetch(`${origin}/api/v1/me`, { headers: { cookie: `session=${value}` } });
  assert.equal((await asks(cookie.value)).status, 200);
  await page.goto('/settings');
  await page.locator('form[action="/logout"]').getByRole('button').click();
  await page.getByRole('button', { name: 'Log in' }).waitFor();
  assert.equal((await page.context().cookies()).some(({ name }) => name === 'session'), false);
  assert.equal((await asks(cookie.value)).status, 401, 'the stolen cookie opens nothing');
  // Going back shows nothing of the account.
  await page.goBack();
  await page.waitForURL(/\/login/);
  await leave(page);
});

// Another site: a page of its own that sends a form to ours as soon as it is shown.
function elsewhere(action, fields, enctype) {
  const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`);
  return `<!doctype html><form method="post" action="${action}" enctype="${enctype}">${inputs.join('')}</form>
    <script>document.forms[0].submit()</script>`;
}

async function hosted(html, hosts, act) {
  const server = createServer((_, reply) => reply.setHeader('content-type', 'text/html').end(html));
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  try {
    const { port } = server.address();
    for (const host of hosts) await act(`http://${host}:${port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('what another site sends changes nothing', async () => {
  const [me, them] = [await Person.signUp('victim'), await Person.signUp('attacker')];
  const post = await them.post([1], { size: [64, 64] });
  const own = await me.post([1], { size: [64, 64] });
  const before = await me.ask('GET', '/me');
  const plain = 'application/x-www-form-urlencoded';
  const forms = [
    [`/u/${them.name}/follow`, {}, plain],
    [`/p/${post.id}/like`, {}, plain],
    [`/p/${post.id}/comments`, { text: 'forged' }, plain],
    [`/p/${own.id}/delete`, {}, plain],
    ['/settings/profile', { full_name: 'forged', bio: '' }, plain],
    ['/settings/delete', { confirm: me.name }, plain],
    ['/logout', {}, plain],
    ['/login', { username: them.name, password: PASSWORD }, plain],
    ['/new', { caption: 'forged' }, 'multipart/form-data'],
    [`/api/v1/posts/${own.id}/comments`, { '{"text":"forged","x":"': '"}' }, 'text/plain'],
  ];
  for (const [index, [path, fields, enctype]] of forms.entries()) {
    const html = elsewhere(`${origin}${path}`, fields, enctype);
    const send = async (address, load) => {
      const page = await visit(browser, { person: me });
      const reply = page.waitForResponse((response) => response.url() === `${origin}${path}` && response.request().method() === 'POST');
      await load(page);
      // For want of the cookie, what goes to the API from another site is nobody's.
      const status = (await reply).status();
      assert.ok(status === 403 || (status === 401 && path.startsWith('/api/')), `${path} from ${address}: ${status}`);
      const cookies = await page.context().cookies(origin);
      assert.equal(cookies.find(({ name }) => name === 'session')?.value, me.token, `${path} from ${address}`);
      await page.context().close();
    };
    // Another port is the same site: the cookie is sent. From another site or none one form will do.
    const hosts = index === 0 ? ['127.0.0.1', 'localhost'] : ['127.0.0.1'];
    await hosted(html, hosts, (address) => send(address, (page) => page.goto(address, { waitUntil: 'commit' })));
    if (index > 0) continue;
    // A page without an origin: the browser sends `Origin: null`.
    await send('a page without an origin', (page) => page.goto(`data:text/html,${encodeURIComponent(html)}`, { waitUntil: 'commit' }));
  }
  assert.deepEqual(await me.ask('GET', '/me'), before);
  const shown = await me.ask('GET', `/posts/${post.id}`);
  assert.deepEqual([shown.counts, shown.viewer.liked], [{ likes: 0, comments: 0 }, false]);
  assert.equal((await me.ask('GET', `/posts/${own.id}/comments`)).items.length, 0);
});

test('what people write is text, wherever it is shown', async () => {
  const person = await Person.signUp('script', '<img src=x onerror=alert(1)>');
  const markup = '"><script>alert(1)</script><img src=x onerror=alert(1)>';
  await person.ask('PATCH', '/me', { json: { bio: markup } });
  const post = await person.post([1], { caption: markup, location: markup, alts: [markup], size: [64, 64] });
  await person.comment(post, markup);
  const page = await visit(browser, { person });
  page.on('dialog', () => page.faults.push('a script of somebody ran'));
  for (const path of ['/', `/p/${post.id}`, `/u/${person.name}`, '/explore', '/settings', `/search?q=${encodeURIComponent(markup)}`]) {
    await page.goto(path);
    assert.equal(await page.locator('img[src=x]').count(), 0, path);
  }
  await page.goto(`/p/${post.id}`);
  await page.locator('.caption', { hasText: markup }).waitFor();
  await page.getByLabel('Add a comment').fill(`${markup} again`);
  await page.getByRole('button', { name: 'Post', exact: true }).click();
  await page.locator('.comment', { hasText: `${markup} again` }).waitFor();
  assert.equal(await page.locator('img[src=x]').count(), 0, 'a comment added without a reload');
  await leave(page);
});

test('no other page frames ours', async () => {
  const page = await visit(browser);
  await hosted(`<!doctype html><iframe src="${origin}/login"></iframe>`, ['127.0.0.1'], async (address) => {
    await page.goto(address);
    assert.equal(await page.frameLocator('iframe').locator('form').count(), 0);
  });
  await page.context().close();
});
