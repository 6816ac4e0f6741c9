// Pictures of the pages, on a phone and on a desktop, in the light and in the dark:
// `node screenshots.mjs HOST:PORT DIRECTORY [PASSWORD]`. A service that nobody uses yet is filled
// first; one that has people already is shown as it is, to one whose password this is.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DESKTOP, PHONE, expectRefusal, leave, start, visit } from './browser.mjs';
import { photoFile } from './drawn.mjs';
import { PASSWORD, Person, ask } from './people.mjs';
import { settle } from './village.mjs';

const [directory, password] = process.argv.slice(3);
if (!directory) throw new Error('usage: node screenshots.mjs HOST:PORT DIRECTORY [PASSWORD]');
await mkdir(directory, { recursive: true });

const [newest] = (await ask('GET', '/explore')).items;
if (!newest) await settle();
const credentials = { username: newest?.author.username ?? 'maya.brooks', password: password || PASSWORD };
const person = new Person(await ask('POST', '/sessions', { json: credentials }));
const { items: feed } = await person.ask('GET', '/feed');
const mostDiscussed = feed.reduce((most, post) => (post.counts.comments > most.counts.comments ? post : most));

const PAGES = {
  welcome: { path: '/', who: null },
  login: { path: '/login', who: null },
  signup: { path: '/signup', who: null },
  home: { path: '/' },
  explore: { path: '/explore' },
  profile: { path: `/u/${mostDiscussed.author.username}` },
  own: { path: `/u/${person.name}` },
  post: { path: `/p/${mostDiscussed.id}` },
  composer: {
    path: '/new',
    act: async (page) => {
      const files = [3, 14, 21].map((number) => photoFile(number, 300));
      await page.getByLabel('Photos', { exact: true }).setInputFiles(files);
      await page.getByLabel('Description of photo 1', { exact: true }).fill('Dark hills under a low sun');
      await page.getByLabel('Caption').fill('Three evenings');
    },
  },
  search: { path: `/search?q=${person.name[0]}` },
  settings: { path: '/settings' },
  'not-found': { path: '/nothing' },
};

const browser = await start();
for (const dark of [false, true]) {
  for (const viewport of [PHONE, DESKTOP]) {
    for (const [page, { path, who = person, act }] of Object.entries(PAGES)) {
      const visitor = await visit(browser, { person: who, dark, viewport });
      expectRefusal(visitor, 404);
      await visitor.goto(path, { waitUntil: 'networkidle' });
      if (act) await act(visitor);
      const file = join(directory, `${page}-${viewport.width}-${dark ? 'dark' : 'light'}.jpg`);
      await visitor.screenshot({ path: file, quality: 82 });
      console.log(file);
      await leave(visitor);
    }
  }
}
await browser.close();
