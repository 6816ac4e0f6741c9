// The pages by keyboard alone: nothing here moves a mouse, and whatever has the focus shows it.

import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { DESKTOP, PHONE, eventually, isMarked, leave, mark, start, step, visit } from './browser.mjs';
import { photoFile } from './drawn.mjs';
import { PASSWORD, Person } from './people.mjs';

let browser;
before(async () => { browser = await start(); });
after(() => browser.close());

// What has the focus: how it is called, and how its focus is drawn.
const focused = (page) => page.evaluate(() => {
  const element = document.activeElement;
  const style = getComputedStyle(element);
  const alts = [...element.querySelectorAll('img')].map(({ alt }) => alt).join(' ');
  const name = element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? (element.textContent.trim() || alts);
  const box = element.getBoundingClientRect();
  return {
    tag: element.localName,
    name: name.trim().replace(/\s+/g, ' ').slice(0, 40),
    where: `${element.localName} ${element.id} ${element.getAttribute('href') ?? element.getAttribute('action') ?? ''}`,
    seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && box.width > 0 && box.height > 0,
    clipped: box.right < 0 || box.bottom < 0 || box.left > innerWidth || box.top > innerHeight,
  };
});

// Presses Tab until the control of this name has the focus, looking at each one on the way.
async function tabTo(page, name, key = 'Tab') {
  const passed = [];
  for (let press = 0; press < 60; press += 1) {
    await page.keyboard.press(key);
    const now = await focused(page);
    passed.push(now.name);
    if (now.tag !== 'body') {
      assert.ok(now.seen, `the focus on ${now.where} (${now.name}) can't be seen`);
      assert.ok(!now.clipped, `${now.where} (${now.name}) has the focus outside of the window`);
    }
    if (now.name === name || (name instanceof RegExp && name.test(now.name))) return passed;
  }
  throw new Error(`Tab does not lead to ${name}; it led to ${passed.join(' | ')}`);
}

for (const [device, viewport] of [['a phone', PHONE], ['a desktop', DESKTOP]]) {
  test(`everything by keyboard, as wide as ${device}`, async () => {
    const [me, them] = [await Person.signUp('keys'), await Person.signUp('other')];
    const post = await them.post([1], { alts: ['Hills'], size: [200, 200] });
    await me.follow(them);
    const page = await visit(browser, { viewport });
    page.on('filechooser', (chooser) => chooser.setFiles([photoFile(1, 120), photoFile(2, 120)]));

    await step('log in', async () => {
      await page.goto('/login');
      const order = await tabTo(page, 'User name');
      assert.equal(order[0], 'Skip to the content');
      await page.keyboard.type(me.name);
      await tabTo(page, 'Password');
      await page.keyboard.type(PASSWORD);
      await page.keyboard.press('Enter');
      await page.waitForURL((url) => url.pathname === '/');
    });

    await step('skip the menu', async () => {
      await page.locator('article').waitFor();
      await page.keyboard.press('Tab');
      const skip = await focused(page);
      assert.equal(skip.name, 'Skip to the content');
      assert.ok(skip.seen && !skip.clipped, 'the skip link shows when it has the focus');
      await page.keyboard.press('Enter');
      await page.keyboard.press('Tab');
      const inMain = () => page.evaluate(() => document.querySelector('main').contains(document.activeElement));
      assert.ok(await inMain(), 'the menu is skipped');
    });

    await step('like without losing the place', async () => {
      await tabTo(page, 'Like');
      const like = page.getByRole('button', { name: 'Like' });
      await mark(page);
      for (const [key, pressed] of [['Enter', 'true'], [' ', 'false'], ['Enter', 'true']]) {
        await page.keyboard.press(key);
        await eventually(`liked: ${pressed}`, async () => await like.getAttribute('aria-pressed') === pressed);
        assert.equal((await focused(page)).name, 'Like', 'the focus stays on the button');
      }
      assert.ok(await isMarked(page));
    });

    await step('open a photo, comment, delete the comment', async () => {
      await tabTo(page, 'Hills', 'Shift+Tab');
      await page.keyboard.press('Enter');
      await page.waitForURL(`**/p/${post.id}`);
      await tabTo(page, 'Add a comment');
      await page.keyboard.type('By keyboard');
      await tabTo(page, 'Post');
      await page.keyboard.press('Enter');
      const comments = page.locator('#comment-list > li');
      await comments.waitFor();
      await tabTo(page, `Delete the comment by ${me.name}`);
      await page.keyboard.press('Enter');
      await comments.waitFor({ state: 'detached' });
      assert.notEqual((await focused(page)).tag, 'body', 'the focus is not lost with the comment');
    });

    await step('the composer', async () => {
      await page.goto('/new');
      await tabTo(page, 'Photos');
      await page.keyboard.press('Enter');
      await page.locator('[data-previews] img').nth(1).waitFor();
      await tabTo(page, 'Description of photo 1');
      await page.keyboard.type('First');
      await tabTo(page, 'Description of photo 2');
      await page.keyboard.type('Second');
      await tabTo(page, 'Caption');
      await page.keyboard.type('Typed');
      await tabTo(page, 'Location');
      await tabTo(page, 'Share');
      await page.keyboard.press('Enter');
      await page.waitForURL((url) => url.pathname === '/');
      const [shared] = (await me.ask('GET', `/users/${me.id}/posts`)).items;
      assert.deepEqual(shared.photos.map(({ alt }) => alt), ['First', 'Second']);
      await page.goto(`/p/${shared.id}`);
    });

    await step('several photos are scrolled by arrow keys', async () => {
      await tabTo(page, /2 photos/);
      const slides = page.locator('.slides');
      await page.keyboard.press('ArrowRight');
      await eventually('the second photo', () => slides.evaluate((list) => list.scrollLeft > 100));
    });

    await step('every page to its end', async () => {
      for (const path of ['/settings', `/u/${them.name}`, '/search?q=k', '/explore']) {
        await page.goto(path);
        await tabTo(page, 'API');
      }
    });
    await leave(page);
  });
}
