// The product path with the client that openapi-typescript makes, and openapi-fetch.
import assert from "node:assert/strict";
import { crc32, deflateSync } from "node:zlib";
// ANCHOR: program
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Post = components["schemas"]["Post"];

const api = createClient<paths>({ baseUrl: process.argv[2] });

// A person is a token; everything that fails throws the problem's sentence.
async function signUp(username: string) {
  const { data, error } = await api.POST("/api/v1/accounts", {
    body: { username, password: "correct horse battery" },
  });
  if (error) throw new Error(error.detail);
  return { id: data.user.id, headers: { Authorization: `Bearer ${data.token}` } };
}

async function publish(headers: HeadersInit, photo: Blob, caption: string): Promise<Post> {
  const { data, error } = await api.POST("/api/v1/posts", {
    headers,
    params: { header: { "Idempotency-Key": crypto.randomUUID() } },
    body: { photo: [], caption },
    // Files can't be said in JSON: the body is made here.
    bodySerializer() {
      const form = new FormData();
      form.append("photo", photo, "photo.png");
      form.append("caption", caption);
      return form;
    },
  });
  if (error) throw new Error(error.detail);
  return data;
}

// The whole feed, newest first, two posts at a time.
async function* feed(headers: HeadersInit): AsyncGenerator<Post> {
  let cursor: string | undefined;
  do {
    const query = { limit: 2, cursor };
    const { data, error } = await api.GET("/api/v1/feed", { headers, params: { query } });
    if (error) throw new Error(error.detail);
    yield* data.items;
    cursor = data.next ?? undefined;
  } while (cursor);
}
// ANCHOR_END: program

const ada = await signUp("ada.ts");
const bob = await signUp("bob.ts");

// A photo drawn here: a PNG of 32 x 24 pixels, one grey for each column.
function chunk(type: string, content: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type), content]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(content.length);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, sum]);
}
const [width, height] = [32, 24];
const header = Buffer.alloc(13);
header.writeUInt32BE(width, 0);
header.writeUInt32BE(height, 4);
header[8] = 8; // Bits of a pixel; the colour type 0 that follows is grey.
const row = Buffer.from([0, ...Array.from({ length: width }, (_, x) => x * 8)]);
const png = Buffer.concat([
  Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
  chunk("IHDR", header),
  chunk("IDAT", deflateSync(Buffer.concat(Array(height).fill(row)))),
  chunk("IEND", Buffer.alloc(0)),
]);
const photo = new Blob([new Uint8Array(png)]);

const posts: Post[] = [];
for (const caption of ["one", "two", "three", "four", "five"]) {
  posts.unshift(await publish(ada.headers, photo, caption));
}
assert.deepEqual([posts[0].photos[0].width, posts[0].photos[0].height], [width, height]);
const file = await fetch(new URL(posts[0].photos[0].url, process.argv[2]));
assert.equal(file.headers.get("content-type"), "image/jpeg");

// Bob follows Ada, sees all she posted, page by page, and says so.
const follow = await api.PUT("/api/v1/users/{id}/follow", {
  headers: bob.headers,
  params: { path: { id: ada.id } },
});
assert.equal(follow.response.status, 204);
const seen: Post[] = [];
for await (const post of feed(bob.headers)) seen.push(post);
assert.deepEqual(seen.map((post) => post.id), posts.map((post) => post.id));

const at = { headers: bob.headers, params: { path: { id: posts[0].id } } };
assert.equal((await api.PUT("/api/v1/posts/{id}/like", at)).response.status, 204);
const comment = await api.POST("/api/v1/posts/{id}/comments", { ...at, body: { text: "Lovely!" } });
assert.equal(comment.data?.author.username, "bob.ts");
const liked = await api.GET("/api/v1/posts/{id}", at);
assert.deepEqual(liked.data?.counts, { likes: 1, comments: 1 });
assert.equal(liked.data?.viewer?.liked, true);

// A problem has its type, too.
const refused = await api.POST("/api/v1/posts/{id}/comments", { ...at, body: { text: "" } });
assert.equal(refused.response.status, 422);
assert.equal(refused.error?.title, "Unprocessable Entity");
assert.deepEqual(refused.error?.errors, [{ field: "text", detail: "must not be empty" }]);

const logOut = await api.DELETE("/api/v1/sessions/current", { headers: bob.headers });
assert.equal(logOut.response.status, 204);
const after = await api.GET("/api/v1/me", { headers: bob.headers });
assert.equal(after.error?.status, 401);
console.log("walked");
