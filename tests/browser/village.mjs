// A few people with photos, who follow, like and talk: so that no page is empty.

import { Person } from './people.mjs';

const PEOPLE = [
  ['maya.brooks', 'Maya Brooks'], ['tomas_l', 'Tomás Lima'], ['ines', 'Inês Carvalho'], ['oskar.w', 'Oskar Wind'],
];
const POSTS = [
  [0, [3], [800, 1000], 'First light on the ridge. Worth every step of the climb.', 'Serra da Estrela', ['Dark hills under a low sun']],
  [1, [8], [1000, 750], 'Back again.', '', ['A wide valley']],
  [2, [12, 14, 15], [900, 900], 'Three evenings, three colours.\nWhich one?', 'Alentejo', ['Orange hills', 'Blue hills', 'Green hills']],
  [3, [5], [800, 800], '', 'Skagen', []],
  [0, [21], [1000, 800], 'The long way home', '', ['Hills behind hills']],
  [1, [17], [800, 1000], 'Nobody else up here', 'Pico', ['A peak in the haze']],
  [2, [9], [900, 900], '', '', ['The sun above a plain']],
  [0, [33, 34], [900, 900], 'Before and after the rain', 'Gerês', ['Before', 'After']],
  [3, [40], [1000, 750], 'Wind.', '', ['Dunes']],
  [0, [44], [800, 800], 'Sunday', '', ['A slow hill']],
];
const COMMENTS = ['Beautiful light!', 'Where is this?', 'I was there last week, and it rained all day long, so I envy you this.'];

// Fills a new service; photos of a `part` of the full size. Gives the people and the posts, oldest first.
export async function settle(part = 1) {
  const people = [];
  for (const [name, fullName] of PEOPLE) people.push(await Person.signUp('', fullName, name));
  const [maya, tomas, ines] = people;
  await maya.ask('PATCH', '/me', { json: { bio: 'Hills, mostly.\nLisbon and the north.' } });
  await maya.picture(3);
  await ines.picture(12);
  for (const one of people) for (const other of people) if (one !== other && one !== people[3]) await one.follow(other);
  const posts = [];
  for (const [author, numbers, size, caption, location, alts] of POSTS) {
    const options = { caption, location, alts, size: size.map((side) => Math.round(side * part)) };
    posts.push(await people[author].post(numbers, options));
  }
  for (const post of posts) for (const one of [tomas, ines]) await one.like(post);
  for (const [index, text] of COMMENTS.entries()) await people[index].comment(posts[2], text);
  for (const one of [maya, tomas]) await one.comment(posts[0], 'Early, but yes.');
  return { people, posts };
}
