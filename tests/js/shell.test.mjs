import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

const SCRIPT = readFileSync(new URL("../../static/js/shell-worker.js", import.meta.url), "utf8");
const digest = (text) => createHash("sha256").update(text).digest("hex");

/** The browser's caches: {name: {path: text}}. */
class Caches {
  constructor(held) {
    this.held = held;
  }

  async open(name) {
    this.held[name] ??= {};
    return { put: async (path, response) => void (this.held[name][path] = await response.text()) };
  }

  async match(path) {
    const text = Object.values(this.held).find((cache) => path in cache)?.[path];
    return text === undefined ? undefined : new Response(text);
  }
}

/**
 * Install a version whose files are `wanted`, {path: text}, where the browser still has `loaded`, the server `served`, and
 * older versions of the worker left `held`. Return what was asked for, [path, mode of the cache], and the caches.
 */
async function install({ wanted, loaded = {}, served = {}, held = {} }) {
  const asked = [];
  const listeners = {};
  const caches = new Caches(held);
  const files = Object.fromEntries(Object.entries(wanted).map(([path, text]) => [path, digest(text)]));
  const fetch = async (path, { cache }) => {
    asked.push([path, cache]);
    const text = cache === "default" && path in loaded ? loaded[path] : served[path];
    return text === undefined ? new Response("", { status: 404 }) : new Response(text);
  };
  const self = { addEventListener: (name, listener) => void (listeners[name] = listener) };
  vm.runInNewContext(SCRIPT, { SHELL: { version: "2", files }, Response, caches, crypto, fetch, self, Uint8Array });
  let installed;
  listeners.install({ waitUntil: (promise) => void (installed = promise) });
  const failed = await installed.then(() => null, (error) => error.message);
  return { asked, failed, kept: caches.held["chat-shell-2"] };
}

test("what the page has just loaded is taken from the browser", async () => {
  const { asked, failed, kept } = await install({ wanted: { "/a.js": "a" }, loaded: { "/a.js": "a" } });
  assert.equal(failed, null);
  assert.deepEqual(asked, [["/a.js", "default"]]);
  assert.deepEqual(kept, { "/a.js": "a" });
});

test("what the browser has of another version is asked for anew", async () => {
  const { asked, kept } = await install({ wanted: { "/a.js": "new" }, loaded: { "/a.js": "old" }, served: { "/a.js": "new" } });
  assert.deepEqual(asked, [["/a.js", "default"], ["/a.js", "no-cache"]]);
  assert.deepEqual(kept, { "/a.js": "new" });
});

test("what an older version kept and has not changed is asked of nobody", async () => {
  const held = { "chat-shell-1": { "/a.js": "a", "/b.js": "old" } };
  const { asked, kept } = await install({ wanted: { "/a.js": "a", "/b.js": "new" }, served: { "/b.js": "new" }, held });
  assert.deepEqual(asked, [["/b.js", "default"]]);
  assert.deepEqual(kept, { "/a.js": "a", "/b.js": "new" });
});

test("a version is there as a whole or not at all", async () => {
  for (const served of [{}, { "/b.js": "of yet another version" }]) {
    const { failed } = await install({ wanted: { "/a.js": "a", "/b.js": "b" }, served: { "/a.js": "a", ...served } });
    assert.equal(failed, "/b.js");
  }
});
