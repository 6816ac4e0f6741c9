// Everything that a person does with the pages, with scripts and (`without`) without them, in the
// light and in the dark: the first argument after the address says which.

import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { eventually, isMarked, leave, mark, start, step, visit } from './browser.mjs';
import { photoFile } from './drawn.mjs';
import { PASSWORD, Person, unique } from './people.mjs';

const scripts = process.argv[3] !== 'without';
let browser;
before(async () => { browser = await start(); });
after(() => browser.close());

const button = (page, name) => page.getByRole('button', { name, exact: true });
const link = (page, name) => page.getByRole('link', { name, exact: true });
const path = (page) => new URL(page.url()).pathname;
const at = (page, wanted) => page.waitForURL((url) => url.pathname === wanted);

async function signUp(page, name, fullName) {
  await page.goto('/');
  await link(page, 'Sign up').click();
  await page.getByLabel('User name').fill(name);
  await page.getByLabel('Full name').fill(fullName);
  await page.getByLabel('Password').fill(PASSWORD);
  await button(page, 'Sign up').click();
  await at(page, '/');
  await link(page, 'Profile').waitFor();
}

async function logIn(page, name) {
  await page.goto('/login');
  await page.getByLabel('User name').fill(name);
  await page.getByLabel('Password').fill(PASSWORD);
  await button(page, 'Log in').click();
  await link(page, 'Profile').waitFor();
}

async function logOut(page) {
  await page.goto('/settings');
  await page.locator('form[action="/logout"]').getByRole('button').click();
  await at(page, '/');
  await button(page, 'Log in').waitFor();
}

// Shares photos by the composer; the post is then the first of one's profile.
async function share(page, numbers, caption, location) {
  await link(page, 'New post').first().click();
  await page.getByLabel('Photos', { exact: true }).setInputFiles(numbers.map((number) => photoFile(number, 240)));
  if (scripts) assert.equal(await page.locator('[data-previews] img').count(), numbers.length);
  else if (numbers.length > 1) await page.getByText('Describe more photos').click();
  for (const [index, number] of numbers.entries()) {
    await page.getByLabel(`Description of photo ${index + 1}`, { exact: true }).fill(`Hills, number ${number}`);
  }
  await page.getByLabel('Caption').fill(caption);
  await page.getByLabel('Location').fill(location);
  await button(page, 'Share').click();
  await at(page, '/');
}

// Does what a form without a reload does; with scripts it is the same document afterwards.
async function inPlace(page, act) {
  await mark(page);
  await act();
  assert.equal(await isMarked(page), scripts, scripts ? 'the page was reloaded' : 'nothing was reloaded');
}

for (const dark of [false, true]) {
  test(`the whole path in ${dark ? 'the dark' : 'the light'}`, async () => {
    const page = await visit(browser, { dark, scripts });
    const [ana, ben] = [unique('ana'), unique('ben')];

    await step('two people sign up; one logs out and in again', async () => {
      await signUp(page, ben, 'Ben Bridge');
      await logOut(page);
      await signUp(page, ana, 'Ana Acre');
      await logOut(page);
      await logIn(page, ana);
      assert.equal(path(page), '/');
    });

    await step('one photo and ten are posted', async () => {
      assert.equal(await page.getByRole('heading', { name: 'Your feed is quiet' }).count(), 1);
      await share(page, [1], 'One evening\nover the hills', 'Lisbon');
      await share(page, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 'Ten of them', '');
      const posts = page.getByRole('article');
      await eventually('both are in the feed', async () => {
        await page.reload();
        return await posts.count() === 2;
      });
      const [ten, one] = [posts.nth(0), posts.nth(1)];
      assert.match(await one.innerText(), /Lisbon[^]*One evening\nover the hills/);
      assert.equal(await one.getByAltText('Hills, number 1').count(), 1);
      const slides = ten.getByRole('listitem');
      assert.equal(await ten.locator('.slides li').count(), 10);
      for (const number of [2, 11]) {
        await ten.getByAltText(`Hills, number ${number}`, { exact: true }).scrollIntoViewIfNeeded();
      }
      assert.match(await slides.last().innerText(), /10\/10/);
      const shown = (image) => image.complete && image.naturalWidth > 0;
      await eventually('the last photo is loaded', () => ten.getByAltText('Hills, number 11').evaluate(shown));
    });

    await step('a post is liked, no longer liked, and saved', async () => {
      const one = page.getByRole('article').last();
      const like = button(one, 'Like');
      for (const [pressed, likes] of [['true', '1 like'], ['false', '0 likes'], ['true', '1 like']]) {
        await inPlace(page, async () => {
          await like.click();
          await link(one, likes).waitFor();
        });
        assert.equal(await like.getAttribute('aria-pressed'), pressed);
      }
      const keep = button(one, 'Save');
      await inPlace(page, async () => {
        await keep.click();
        await eventually('it is saved', async () => await keep.getAttribute('aria-pressed') === 'true');
      });
      await link(page, 'Profile').click();
      await link(page, 'Saved').click();
      await page.getByRole('heading', { name: 'Saved' }).waitFor();
      assert.equal(await page.locator('.grid > li').count(), 1);
      await page.goto('/');
      await link(one, '1 like').click();
      assert.equal(await page.getByRole('main').getByRole('link', { name: ana }).count(), 1);
      await link(page, 'Back').click();
    });

    await step('the page of a post: comments, caption', async () => {
      assert.match(path(page), /^\/p\/\d+$/);
      const comments = page.locator('#comment-list > li');
      for (const [index, text] of ['Where is this?', 'A second one'].entries()) {
        await page.getByLabel('Add a comment').fill(text);
        await inPlace(page, async () => {
          await button(page, 'Post').click();
          await comments.filter({ hasText: text }).waitFor();
        });
        assert.equal(await comments.count(), index + 1);
        assert.equal(await page.getByLabel('Add a comment').inputValue(), '');
      }
      await inPlace(page, async () => {
        await button(comments.first(), `Delete the comment by ${ana}`).click();
        await comments.filter({ hasText: 'A second one' }).waitFor({ state: 'detached' });
      });
      assert.equal(await comments.count(), 1);
      await page.reload();
      assert.match(await comments.innerText(), /Where is this\?/);

      await page.getByText('Edit or delete').click();
      await page.getByLabel('Caption').fill('Another evening');
      await button(page.locator('.own'), 'Save').click();
      await page.locator('.caption', { hasText: 'Another evening' }).waitFor();
    });

    await step('the profile is a grid of three columns', async () => {
      const author = await Person.signUp('grid');
      for (const number of [1, 2, 3, 4]) await author.post([number], { size: [64, 64] });
      await page.goto(`/u/${author.name}`);
      const boxes = await Promise.all([0, 1, 2, 3].map((index) => page.locator('.grid > li').nth(index).boundingBox()));
      const [tops, lefts] = [boxes.map(({ y }) => Math.round(y)), boxes.map(({ x }) => Math.round(x))];
      assert.ok(tops[0] === tops[1] && tops[1] === tops[2] && tops[3] > tops[2], `tops: ${tops}`);
      assert.ok(lefts[0] < lefts[1] && lefts[1] < lefts[2] && lefts[3] === lefts[0], `lefts: ${lefts}`);
      assert.match(await page.locator('.counts').innerText(), /4 posts/);
      await page.locator('.grid a').first().click();
      await page.waitForURL(/\/p\/\d+$/);
    });

    await step('people are found, followed and no longer followed', async () => {
      await link(page, 'Search').click();
      await page.getByLabel('Search for people and tags').fill(ben.slice(0, -1).toUpperCase());
      await button(page, 'Search').click();
      await page.getByRole('main').getByRole('link', { name: ben }).click();
      await at(page, `/u/${ben}`);
      await inPlace(page, async () => {
        await button(page, 'Follow').click();
        await button(page, 'Unfollow').waitFor();
      });
      await page.reload();
      await link(page, '1 follower').click();
      await page.getByRole('heading', { name: `Followers of ${ben}` }).waitFor();
      await page.getByRole('main').getByRole('link', { name: ana }).click();
      await link(page, '1 following').click();
      await page.getByRole('main').getByRole('link', { name: ben }).click();
      await inPlace(page, async () => {
        await button(page, 'Unfollow').click();
        await button(page, 'Follow').waitFor();
      });
      await page.goto('/search?q=nobodyofthatname');
      await page.getByText('Nobody and no tag is called “nobodyofthatname”.').waitFor();
    });

    await step('explore shows the newest photos', async () => {
      await link(page, 'Explore').first().click();
      await at(page, '/explore');
      assert.ok(await page.locator('.grid > li').count() >= 6);
      await page.locator('.grid').getByAltText('Hills, number 1', { exact: true }).first().waitFor();
    });

    await step('settings: profile, picture, devices', async () => {
      await page.goto('/settings');
      await page.getByLabel('Full name').fill('Ana A. Acre');
      await page.getByLabel('About you').fill('Hills,\nmostly');
      await button(page, 'Save').click();
      await page.getByRole('status').getByText('Saved.').waitFor();
      await page.getByLabel('Choose a picture').setInputFiles(photoFile(20, 320));
      await button(page, 'Save picture').click();
      await page.locator('main img.avatar').waitFor();
      await page.goto(`/u/${ana}`);
      assert.match(await page.locator('.profile').innerText(), /Ana A\. Acre\s+Hills,\nmostly/);
      assert.equal(await page.locator('.profile img.avatar').count(), 1);

      const other = await visit(browser, { dark, scripts });
      await logIn(other, ana);
      await page.goto('/settings');
      const devices = page.locator('.devices > li');
      const before = await devices.count();
      assert.match(await page.locator('.devices').innerText(), /This device/);
      await button(devices.first(), 'Log out').click();
      await eventually('a device is gone', async () => await devices.count() === before - 1);
      await other.goto('/settings');
      await at(other, '/login');
      await leave(other);
    });

    await step('the language is chosen, for every page', async () => {
      const pages = ['/', '/explore', '/search', '/new', '/settings', `/u/${ana}`, `/u/${ana}/followers`, '/nothing'];
      page.refusals.add(404);
      for (const [language, tag, home] of [['Español', 'es', 'Inicio'], ['English', 'en', 'Home']]) {
        await page.goto('/search?q=a');
        await button(page, language).click();
        await page.locator(`html[lang=${tag}]`).waitFor();
        assert.equal(new URL(page.url()).search, '?q=a', 'one stays on the page');
        await link(page, home).waitFor();
        for (const one of pages) {
          await page.goto(one);
          assert.equal(await page.locator('html').getAttribute('lang'), tag, one);
        }
      }
    });

    await step('a post is deleted, then the account', async () => {
      await page.goto(`/u/${ana}`);
      assert.equal(await page.locator('.grid > li').count(), 2);
      await page.locator('.grid a').first().click();
      await page.getByText('Edit or delete').click();
      await button(page, 'Delete post').click();
      await at(page, `/u/${ana}`);
      assert.equal(await page.locator('.grid > li').count(), 1);
      await page.goto('/settings');
      await page.getByLabel('Type your user name to confirm').fill(ana);
      await button(page, 'Delete account').click();
      await at(page, '/');
      await link(page, 'Sign up').waitFor();
      assert.equal((await page.goto(`/u/${ana}`)).status(), 404);
    });

    await leave(page);
  });
}

test('a feed of several pages shows each post once', async () => {
  const person = await Person.signUp('reader');
  const made = [];
  for (let number = 0; number < 45; number += 1) {
    made.unshift((await person.post([number], { caption: `${number}`, size: [64, 64] })).id);
  }
  const page = await visit(browser, { person, scripts });
  await page.goto('/');
  const shown = () => page.locator('article').evaluateAll((all) => all.map(({ id }) => id.replace('post-', '')));
  const next = page.getByRole('link', { name: 'Show more' });
  let seen = [];
  if (scripts) {
    await mark(page);
    await eventually('the end of the feed', async () => {
      await page.mouse.wheel(0, 4_000);
      return await next.count() === 0;
    });
    assert.ok(await isMarked(page));
    seen = await shown();
  } else {
    for (;;) {
      seen.push(...await shown());
      if (await next.count() === 0) break;
      const before = page.url();
      await next.click();
      await page.waitForURL((url) => url.href !== before);
    }
  }
  assert.deepEqual(seen, made);
  await leave(page);
});
