// People who use the service through its API: what a test needs to be there before it looks.

import assert from 'node:assert/strict';
import { photoFile } from './drawn.mjs';

export const PASSWORD = 'correct horse battery';

// Where the service is: the first argument of every script.
export const origin = `http://${process.argv[2] ?? ''}`;
if (!process.argv[2]) throw new Error('usage: node SCRIPT.mjs HOST:PORT');

let count = 0;
// A name that nobody else has in this run.
export const unique = (stem) => `${stem}${process.pid}_${count += 1}`;

export class Person {
  constructor({ token, user }) {
    this.token = token;
    this.id = user.id;
    this.name = user.username;
  }

  static async signUp(stem, fullName = '', name = unique(stem)) {
    const account = { username: name, password: PASSWORD, full_name: fullName };
    return new Person(await ask('POST', '/accounts', { json: account }));
  }

  // The same person on another device.
  async logIn() {
    return new Person(await ask('POST', '/sessions', { json: { username: this.name, password: PASSWORD } }));
  }

  ask(method, path, options = {}) {
    return ask(method, path, { ...options, token: this.token });
  }

  // Posts photos of these numbers.
  async post(numbers, { caption = '', location = '', alts = [], size = [600, 600] } = {}) {
    const form = new FormData();
    for (const number of numbers) {
      const { name, buffer } = photoFile(number, ...size);
      form.append('photo', new Blob([buffer]), name);
    }
    for (const alt of alts) form.append('alt', alt);
    form.append('caption', caption);
    form.append('location', location);
    return this.ask('POST', '/posts', { body: form });
  }

  follow = (them) => this.ask('PUT', `/users/${them.id}/follow`);
  like = (post) => this.ask('PUT', `/posts/${post.id}/like`);
  comment = (post, text) => this.ask('POST', `/posts/${post.id}/comments`, { json: { text } });
  // Their picture: a photo of this number.
  picture = (number) => this.ask('PUT', '/me/avatar', {
    body: photoFile(number, 320).buffer, headers: { 'content-type': 'image/png' },
  });
}

// Asks the API, which must succeed.
export async function ask(method, path, { json, body, token, headers = {} } = {}) {
  if (json) [body, headers['content-type']] = [JSON.stringify(json), 'application/json'];
  if (token) headers.authorization = `Bearer ${token}`;
  const reply = await fetch(`${origin}/api/v1${path}`, { method, body, headers });
  const text = await reply.text();
  assert.ok(reply.ok, `${method} ${path}: ${reply.status} ${text}`);
  return text && JSON.parse(text);
}
