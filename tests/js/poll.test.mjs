import assert from "node:assert/strict";
import { test } from "node:test";
import { PollSocket } from "../../static/js/poll.js";

/** A server whose answers the test gives: `posts` are answered at once, `gets` wait for `answer` or `fail`. */
function world({ refuse = null, code = "" } = {}) {
  const posts = [];
  const gets = [];
  const heard = [];
  const fetch = (url, options) => {
    if (options.method === "POST") {
      posts.push({ url, session: options.headers["Chat-Session"], ...JSON.parse(options.body) });
      const status = refuse?.(posts.at(-1)) ?? 204;
      return Promise.resolve({ ok: status < 300, status, json: async () => ({ code }) });
    }
    return new Promise((resolve, reject) => {
      options.signal.addEventListener("abort", () => reject(new Error("aborted")));
      gets.push({
        url,
        answer: (body) => resolve({ ok: true, status: 200, json: async () => body }),
        refuse: (status) => resolve({ ok: false, status, json: async () => ({}) }),
        fail: () => reject(new TypeError("network")),
      });
    });
  };
  const socket = new PollSocket("ws://host:1/ws", fetch);
  socket.onmessage = (event) => heard.push(JSON.parse(event.data).op);
  socket.onclose = (event) => heard.push(event.code);
  return { socket, posts, gets, heard };
}

/** Let everything that waits for nothing happen. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

test("it opens, fetches, and confirms with each fetch what the one before gave", async () => {
  const { socket, posts, gets, heard } = world();
  assert.equal(socket.readyState, 0);
  await settle();
  assert.equal(posts[0].url, "http://host:1/v1/poll");
  assert.equal(posts[0].open, true);
  assert.match(posts[0].session, /^[A-Za-z0-9_-]{32}$/);
  assert.equal(socket.readyState, 1);
  gets[0].answer({ frames: [{ op: "ready" }, { op: "msg" }], last: 2 });
  await settle();
  gets[1].answer({ frames: [], last: 2 });
  await settle();
  assert.deepEqual(gets.map((get) => get.url.split("?")[1]), ["after=0", "after=2", "after=2"]);
  assert.deepEqual(heard, ["ready", "msg"]);
});

test("frames go out in order, one request after the other, as many as fit", async () => {
  const { socket, posts } = world();
  for (let number = 0; number < 150; number += 1) socket.send(JSON.stringify({ n: number }));
  await settle();
  socket.send(JSON.stringify({ n: 150, body: "x".repeat(299_000) }));
  socket.send(JSON.stringify({ n: 151, body: "x".repeat(299_000) }));
  await settle();
  const sent = posts.slice(1).map((post) => post.frames.map((frame) => frame.n));
  assert.deepEqual(sent.flat(), [...Array(152).keys()]);
  assert.ok(sent.every((frames) => frames.length <= 100));
  assert.deepEqual(sent.slice(-2), [[150], [151]]);
});

test("the end that the server gives is heard after its last frames, once", async () => {
  const { socket, posts, gets, heard } = world();
  await settle();
  gets[0].answer({ frames: [{ op: "drain" }], last: 1, close: { code: 1012, reason: "" } });
  await settle();
  assert.deepEqual(heard, ["drain", 1012]);
  assert.equal(socket.readyState, 3);
  socket.send("{}");
  socket.close();
  await settle();
  assert.equal(posts.length, 1);
  assert.equal(gets.length, 1);
});

test("who may not is told as on a socket; what is lost or fails is a lost connection", async () => {
  for (const [status, code, close] of [[401, "unauthenticated", 4401], [403, "forbidden", 4403], [403, "suspended", 4402], [503, "unavailable", 1006]]) {
    const { heard } = world({ refuse: () => status, code });
    await settle();
    assert.deepEqual(heard, [close]);
  }
  for (const end of [(get) => get.refuse(410), (get) => get.fail()]) {
    const { gets, heard } = world();
    await settle();
    end(gets[0]);
    await settle();
    assert.deepEqual(heard, [1006]);
  }
  const { socket, heard } = world({ refuse: (post) => (post.frames ? 503 : 204) });
  await settle();
  socket.send("{}");
  await settle();
  assert.deepEqual(heard, [1006]);
});

test("who leaves says so, and hears nothing more", async () => {
  const { socket, posts, gets, heard } = world();
  await settle();
  socket.close();
  socket.close();
  gets[0].answer({ frames: [{ op: "msg" }], last: 1 });
  await settle();
  assert.deepEqual(posts.filter((post) => post.close).length, 1);
  assert.deepEqual(heard, []);
});
