// A headless Chromium, and visitors in it: each has cookies of their own, and each writes down
// what a page must never do.

import assert from 'node:assert/strict';
import { chromium } from './tools.mjs';
import { origin } from './people.mjs';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
// For one thing to appear or happen; two cores that are busy with other tests need some of it.
const PATIENCE_MS = 20_000;

export const PHONE = { width: 390, height: 844 };
export const DESKTOP = { width: 1280, height: 900 };

export function start(flags = []) {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args: [...FLAGS, ...flags] });
}

// A page of a visitor: `person` is signed in by their token.
export async function visit(browser, { person, dark = false, scripts = true, viewport = DESKTOP, motion = false } = {}) {
  const context = await browser.newContext({
    baseURL: origin, colorScheme: dark ? 'dark' : 'light', javaScriptEnabled: scripts, viewport, locale: 'en-GB',
    // Animations between pages take time in each of a test's hundred steps.
    reducedMotion: motion ? 'no-preference' : 'reduce',
  });
  if (person) await context.addCookies([{ name: 'session', value: person.token, url: origin }]);
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  page.faults = [];
  page.refusals = new Set();
  watch(page);
  return page;
}

// Writes down errors and warnings of the console, errors of scripts, and requests to elsewhere.
function watch(page) {
  page.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type())) return;
    // The browser's own note of a reply that the test expects to be a refusal.
    const status = message.text().match(/the server responded with a status of (\d+)/)?.[1];
    if (page.refusals.has(Number(status))) return;
    page.faults.push(`${page.url()}: console ${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => page.faults.push(`${page.url()}: ${error}`));
  page.on('request', (request) => {
    const ours = [`${origin}/`, 'data:', `blob:${origin}/`].some((start) => request.url().startsWith(start));
    if (!ours) page.faults.push(`${page.url()}: a request to ${request.url()}`);
  });
}

// Says that replies of this status belong to what is tested.
export const expectRefusal = (page, ...statuses) => statuses.forEach((status) => page.refusals.add(status));

// Ends a visit, which must have been without faults.
export async function leave(page) {
  await page.context().close();
  assert.deepEqual(page.faults, []);
}

// A part of a test: what fails says in which one it was.
export async function step(name, act) {
  try {
    await act();
  } catch (error) {
    throw new Error(`${name}: ${error.message}`, { cause: error });
  }
}

// Waits until a question has the wanted answer.
export async function eventually(what, ask) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    assert.ok(Date.now() < end, `not in time: ${what}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

// Marks the document, to tell later whether it is still the same one.
export const mark = (page) => page.evaluate(() => { document.documentElement.dataset.marked = '1'; });
export const isMarked = (page) => page.evaluate(() => document.documentElement.dataset.marked === '1');
