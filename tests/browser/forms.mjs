// What is put wrongly into forms, sessions that have ended, and addresses where nothing is.

import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { eventually, expectRefusal, leave, start, step, visit } from './browser.mjs';
import { photoFile } from './drawn.mjs';
import { PASSWORD, Person } from './people.mjs';

let browser;
before(async () => { browser = await start(); });
after(() => browser.close());

const button = (page, name) => page.getByRole('button', { name, exact: true });
// Forms as somebody sends them whose browser checks nothing.
const unchecked = (page) => page.evaluate(() => {
  for (const form of document.forms) form.noValidate = true;
  for (const field of document.querySelectorAll('[maxlength]')) field.removeAttribute('maxlength');
});

// The field says that it is at fault, and its description says why, close to it.
async function assertFault(page, label, why) {
  const field = page.getByLabel(label, { exact: true });
  await eventually(`${label} is at fault`, async () => await field.getAttribute('aria-invalid') === 'true');
  const ids = (await field.getAttribute('aria-describedby') ?? '').split(' ');
  const fault = page.locator(ids.map((id) => `.fault[id="${id}"]`).join());
  assert.match(await fault.innerText(), why, label);
  const [above, below] = [await field.boundingBox(), await fault.boundingBox()];
  const distance = below.y - (above.y + above.height);
  assert.ok(distance >= 0 && distance < 60, `the fault of ${label} is ${distance} pixels below it`);
}

const typed = (page, label) => page.getByLabel(label, { exact: true }).inputValue();

for (const scripts of [true, false]) {
  const how = scripts ? 'with scripts' : 'without scripts';

  test(`the log-in says what is wrong, ${how}`, async () => {
    const page = await visit(browser, { scripts });
    expectRefusal(page, 401, 409, 422);
    const taken = await Person.signUp('taken');

    await step('sign-up', async () => {
      await page.goto('/signup');
      const send = async (name, email, password) => {
        await unchecked(page);
        await page.getByLabel('User name').fill(name);
        await page.getByLabel('Full name').fill('Somebody <b>');
        await page.getByLabel('E-mail (optional)').fill(email);
        await page.getByLabel('Password').fill(password);
        const reply = page.waitForResponse((response) => response.request().method() === 'POST');
        await button(page, 'Sign up').click();
        return (await reply).status();
      };
      assert.equal(await send('not a name', 'nobody', 'short'), 422);
      await assertFault(page, 'User name', /letters|may|must/i);
      await assertFault(page, 'Password', /8/);
      await assertFault(page, 'E-mail (optional)', /./);
      assert.equal(await typed(page, 'User name'), 'not a name');
      assert.equal(await typed(page, 'Full name'), 'Somebody <b>');
      assert.equal(await typed(page, 'E-mail (optional)'), 'nobody');
      assert.equal(await typed(page, 'Password'), '', 'a password is never sent back');
      assert.equal(await page.getByLabel('Full name').getAttribute('aria-invalid'), null);
      assert.equal(await send(taken.name, '', PASSWORD), 409);
      await assertFault(page, 'User name', /taken/i);
      assert.equal(await typed(page, 'User name'), taken.name);
      assert.equal(await page.getByLabel('Password').getAttribute('aria-invalid'), null);
    });

    await step('log-in', async () => {
      await page.goto('/login?next=/explore');
      await page.getByLabel('User name').fill(taken.name);
      await page.getByLabel('Password').fill('something else');
      await button(page, 'Log in').click();
      await page.getByRole('alert').waitFor();
      assert.equal(await typed(page, 'User name'), taken.name);
      await page.getByLabel('Password').fill(PASSWORD);
      await button(page, 'Log in').click();
      await page.waitForURL('**/explore');
    });
    await leave(page);
  });

  test(`forms inside keep what was typed, ${how}`, async () => {
    const person = await Person.signUp('typist');
    const post = await person.post([1], { size: [64, 64], caption: 'mine' });
    const page = await visit(browser, { person, scripts });
    expectRefusal(page, 413, 415, 422);

    await step('settings', async () => {
      await page.goto('/settings');
      await unchecked(page);
      await page.getByLabel('Full name').fill('A new name');
      await page.getByLabel('About you').fill('x'.repeat(151));
      await button(page, 'Save').click();
      await assertFault(page, 'About you', /150/);
      assert.equal(await typed(page, 'About you'), 'x'.repeat(151));
      assert.equal(await typed(page, 'Full name'), 'A new name');
      await page.getByLabel('Choose a picture').setInputFiles(notAPhoto);
      await button(page, 'Save picture').click();
      await assertFault(page, 'Choose a picture', /./);
      await unchecked(page);
      await page.getByLabel('Type your user name to confirm').fill('somebody');
      await button(page, 'Delete account').click();
      await assertFault(page, 'Type your user name to confirm', /user name/);
      assert.equal((await person.ask('GET', '/me')).bio, '');
    });

    await step('composer', async () => {
      await page.goto('/new');
      await page.getByLabel('Photos', { exact: true }).setInputFiles([photoFile(1, 120), notAPhoto]);
      if (!scripts) await page.getByText('Describe more photos').click();
      await page.getByLabel('Description of photo 1', { exact: true }).fill('Hills');
      await page.getByLabel('Description of photo 2').fill('Not hills');
      await page.getByLabel('Caption').fill('Kept & <b>safe</b>\nin two lines');
      await page.getByLabel('Location').fill('Lisbon');
      await button(page, 'Share').click();
      await assertFault(page, 'Photos', /JPEG|picture|photo/i);
      assert.equal(await typed(page, 'Description of photo 1'), 'Hills');
      assert.equal(await typed(page, 'Description of photo 2'), 'Not hills');
      assert.equal(await typed(page, 'Caption'), 'Kept & <b>safe</b>\nin two lines');
      assert.equal(await typed(page, 'Location'), 'Lisbon');
      // Mended, it is shared.
      await page.getByLabel('Photos', { exact: true }).setInputFiles([photoFile(1, 120), photoFile(2, 120)]);
      await button(page, 'Share').click();
      await page.waitForURL((url) => url.pathname === '/');
      const [shared] = (await person.ask('GET', `/users/${person.id}/posts`)).items;
      assert.deepEqual(shared.photos.map(({ alt }) => alt), ['Hills', 'Not hills']);
    });

    await step('comments and the caption', async () => {
      for (const [text, why] of [['   ', /empty/], ['x'.repeat(2201), /2,?200/]]) {
        await page.goto(`/p/${post.id}`);
        await unchecked(page);
        await page.getByLabel('Add a comment').fill(text);
        await button(page, 'Post').click();
        await assertFault(page, 'Add a comment', why);
        assert.equal(await typed(page, 'Add a comment'), text);
      }
      assert.equal((await person.ask('GET', `/posts/${post.id}/comments`)).items.length, 0);
      await page.goto(`/p/${post.id}`);
      await page.getByText('Edit or delete').click();
      await unchecked(page);
      await page.getByLabel('Caption').fill('x'.repeat(2201));
      await button(page.locator('.own'), 'Save').click();
      await assertFault(page, 'Caption', /2,?200/);
      assert.equal(await typed(page, 'Caption'), 'x'.repeat(2201));
    });
    await leave(page);
  });

  test(`a session that has ended leads to the log-in and back, ${how}`, async () => {
    const person = await Person.signUp('ended');
    const them = await Person.signUp('them');
    const post = await them.post([1], { size: [64, 64] });
    const page = await visit(browser, { person: await person.logIn(), scripts });
    const end = async () => {
      const { items } = await person.ask('GET', '/sessions');
      for (const session of items) if (!session.current) await person.ask('DELETE', `/sessions/${session.id}`);
    };
    const logIn = async () => {
      await page.getByLabel('User name').fill(person.name);
      await page.getByLabel('Password').fill(PASSWORD);
      await button(page, 'Log in').click();
    };
    await page.goto('/settings');
    await end();
    await page.goto('/settings?x=a%26b');
    assert.equal(new URL(page.url()).pathname, '/login');
    await logIn();
    await page.waitForURL(/\/settings\?x=a%26b$/);

    await page.goto(`/p/${post.id}`);
    await end();
    await button(page, 'Like').click();
    await page.waitForURL(/\/login\?next=/);
    await logIn();
    await page.waitForURL(`**/p/${post.id}`);
    assert.equal(await button(page, 'Like').getAttribute('aria-pressed'), 'false');
    await leave(page);
  });
}

const notAPhoto = { name: 'holiday.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('no photo at all') };

test('what is not there is a page that says so', async () => {
  const page = await visit(browser);
  expectRefusal(page, 404, 405);
  for (const path of ['/nothing', '/u/nobody', '/u/no%20body', '/p/1', '/p/x', '/u/nobody/followers', '/assets/x.js', '/p/1/likes']) {
    const reply = await page.goto(path);
    assert.equal(reply.status(), 404, path);
    assert.match(reply.headers()['content-type'], /^text\/html/, path);
    await page.getByRole('heading', { name: 'There is nothing here' }).waitFor();
  }
  await page.getByRole('link', { name: 'To the start' }).click();
  await page.waitForURL((url) => url.pathname === '/');
  await leave(page);
});

test('a log-in leads to no other site', async () => {
  const person = await Person.signUp('led');
  for (const next of ['//evil.example', '/\\evil.example', 'https://evil.example', '/%09/evil.example', 'javascript:1']) {
    const page = await visit(browser);
    expectRefusal(page, 404);
    await page.goto(`/login?next=${encodeURIComponent(next)}`);
    await page.getByLabel('User name').fill(person.name);
    await page.getByLabel('Password').fill(PASSWORD);
    await button(page, 'Log in').click();
    await page.getByRole('link', { name: 'Profile' }).or(page.getByRole('link', { name: 'To the start' })).waitFor();
    assert.equal(new URL(page.url()).host, process.argv[2], next);
    await leave(page);
    // Signed in already, the address alone leads on.
    const signedIn = await visit(browser, { person });
    expectRefusal(signedIn, 404);
    await signedIn.goto(`/login?next=${encodeURIComponent(next)}`);
    assert.equal(new URL(signedIn.url()).host, process.argv[2], next);
    await leave(signedIn);
  }
});
