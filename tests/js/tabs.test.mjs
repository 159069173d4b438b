import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedSocket } from "../../static/js/tabs.js";
import { Wire } from "../../static/js/wire.js";
import { Clock } from "./clock.mjs";

const PATIENCE_MS = 3_000;

/** So many turns a lock takes, which is longer than a word on a channel. */
const LOCK_TURNS = 5;

/** Let what waits for promises happen. */
const settle = async (turns = 100) => {
  for (let i = 0; i < turns; i += 1) await null;
};

/** The browser's locks: one holder of each name, the others in a queue. */
class Locks {
  #held = new Map();
  #queues = new Map();

  request(name, { signal, steal }, work) {
    return new Promise((resolve, reject) => {
      const one = { work, resolve, reject };
      const queue = this.#queues.get(name) ?? [];
      this.#queues.set(name, queue);
      if (steal) {
        const held = this.#held.get(name);
        this.#held.delete(name);
        held?.reject(new Error("AbortError"));
        queue.unshift(one);
      } else queue.push(one);
      signal?.addEventListener("abort", () => {
        if (!queue.includes(one)) return;
        queue.splice(queue.indexOf(one), 1);
        reject(new Error("AbortError"));
      });
      this.#next(name);
    });
  }

  async #next(name) {
    await settle(LOCK_TURNS);
    const queue = this.#queues.get(name);
    if (this.#held.has(name) || !queue.length) return;
    const one = queue.shift();
    this.#held.set(name, one);
    const done = await one.work();
    if (this.#held.get(name) !== one) return;
    this.#held.delete(name);
    one.resolve(done);
    this.#next(name);
  }
}

/** A browser: tabs with pages and channels, the locks that they share, a clock that moves when told, and the server's end of each socket. */
function browser() {
  const clock = new Clock();
  const channels = [];
  const sockets = [];
  const locks = new Locks();

  class Real {
    readyState = 1;
    sent = [];
    constructor() {
      sockets.push(this);
    }
    send(text) {
      this.sent.push(JSON.parse(text));
    }
    close() {
      this.readyState = 3;
    }
    hear(...frames) {
      for (const frame of frames) this.onmessage({ data: JSON.stringify(frame) });
    }
    /** Answer the oldest question with these frames. */
    answer(...frames) {
      this.hear(...frames, { op: "pong", ts: 1 });
    }
    ready(user = "u_me") {
      this.hear({ op: "ready", user, heartbeat_s: 30, limits: { max_presence_users: 3 } });
    }
    end(code) {
      this.readyState = 3;
      this.onclose({ code });
    }
  }

  const { setTimeout, clearTimeout } = clock;

  class Tab {
    page = new EventTarget();
    /** Frozen: what comes to it waits. */
    frozen = null;
    heard = [];
    codes = [];

    run(work) {
      if (this.frozen) this.frozen.push(work);
      else work();
    }
    freeze() {
      this.frozen = [];
    }
    thaw() {
      const waiting = this.frozen;
      this.frozen = null;
      waiting.forEach((work) => work());
    }
    /** The tab dies: nothing of it runs any more, and its lock is free. */
    crash() {
      this.freeze();
      this.dies?.();
    }
    leave() {
      this.page.dispatchEvent(new Event("pagehide"));
    }
    env() {
      const tab = this;
      return {
        locks: {
          request: (name, options, work) =>
            locks.request(name, options, () => {
              const held = new Promise((resolve) => tab.run(() => resolve(work())));
              return Promise.race([held, new Promise((dies) => (tab.dies = dies))]);
            }),
        },
        BroadcastChannel: class {
          constructor(name) {
            this.name = name;
            channels.push(this);
          }
          postMessage(words) {
            assert.ok(channels.includes(this), "a channel that is closed");
            const data = structuredClone(words);
            for (const other of [...channels]) {
              if (other === this || other.name !== this.name) continue;
              queueMicrotask(() => other.tab.run(() => channels.includes(other) && other.onmessage({ data })));
            }
          }
          close() {
            channels.splice(channels.indexOf(this), 1);
          }
          tab = tab;
        },
        page: this.page,
        setTimeout: (work, ms) => setTimeout(() => tab.run(work), ms),
        clearTimeout,
        now: clock.now,
      };
    }
    /** Open an end of the connection as `wire.js` does. */
    open(name = "socket of u_me") {
      const socket = new SharedSocket(name, () => new Real(), this.env());
      socket.onmessage = ({ data }) => this.heard.push(JSON.parse(data));
      socket.onclose = ({ code }) => this.codes.push(code);
      this.socket = socket;
      return settle();
    }
    say(frame) {
      this.socket.send(JSON.stringify(frame));
      return settle();
    }
    get ops() {
      return this.heard.map((frame) => frame.op);
    }
  }

  const pass = async (ms) => {
    const end = clock.time + ms;
    do await settle();
    while (clock.next(end));
    clock.time = end;
    await settle();
  };

  /** Tabs of which the first leads, and all are ready. */
  const tabs = async (count = 2) => {
    const all = Array.from({ length: count }, () => new Tab());
    for (const tab of all) await tab.open();
    sockets[0].ready();
    await settle();
    for (const tab of all) tab.heard = [];
    return all;
  };
  return { Tab, Real, sockets, tabs, pass, locks };
}

const written = (socket, op) => socket.sent.filter((frame) => frame.op === op);

test("several tabs have one connection: what the server says reaches all, and what each says reaches the server", async () => {
  const { sockets, tabs } = browser();
  const [a, b, c] = await tabs(3);
  assert.equal(sockets.length, 1);
  sockets[0].hear({ op: "msg", server_id: "m_1", conv: "c_1" });
  await settle();
  for (const tab of [a, b, c]) assert.deepEqual(tab.ops, ["msg"]);
  await b.say({ op: "send", msg_id: "x" });
  await a.say({ op: "send", msg_id: "y" });
  assert.deepEqual(written(sockets[0], "send").map((frame) => frame.msg_id), ["x", "y"]);
  sockets[0].hear({ op: "ack", msg_id: "x", server_id: "m_2" }, { op: "error", code: "blocked", msg_id: "y" });
  await settle();
  for (const tab of [a, b, c]) assert.deepEqual(tab.ops, ["msg", "ack", "error"]);
});

test("a tab that comes late is told ready, and one that comes before the server answered hears it when it does", async () => {
  const { Tab, sockets } = browser();
  const [a, early, late] = [new Tab(), new Tab(), new Tab()];
  await Promise.all([a.open(), early.open()]);
  assert.equal(sockets.length, 1);
  assert.deepEqual(early.ops, []);
  sockets[0].ready();
  await settle();
  assert.deepEqual(early.ops, ["ready"]);
  await late.open();
  assert.deepEqual(late.ops, ["ready"]);
  assert.deepEqual(a.ops, ["ready"]);
  assert.equal(late.socket.readyState, 1);
});

test("what a sync is answered goes to the tab that asked; the others learn up to where, after what they asked themselves", async () => {
  const { sockets, tabs } = browser();
  const [a, b, c] = await tabs(3);
  await b.say({ op: "sync", marks: { c_1: "m_1" } });
  await c.say({ op: "sync", marks: { c_1: "m_0" } });
  assert.deepEqual(sockets[0].sent.map((frame) => frame.op), ["sync", "ping", "sync", "ping"]);
  sockets[0].answer({ op: "backfill", conv: "c_1", messages: [{}], mark: "m_2" }, { op: "synced", convs: 1 });
  await settle();
  const moved = { op: "moved", conv: "c_1", mark: "m_2" };
  assert.deepEqual(b.ops, ["backfill", "synced", "pong"]);
  assert.deepEqual(a.heard, [moved, { op: "synced", convs: 1 }]);
  assert.deepEqual(c.ops, ["synced"]);
  sockets[0].answer({ op: "backfill", conv: "c_1", messages: [{}, {}], mark: "m_2" });
  await settle();
  assert.deepEqual(c.ops, ["synced", "backfill", "pong", "moved"]);
  assert.deepEqual(b.heard.at(-1), moved);
});

test("a backfill that nobody asked for is for all", async () => {
  const { sockets, tabs } = browser();
  const [a, b] = await tabs();
  await b.say({ op: "sync", marks: {} });
  sockets[0].hear({ op: "backfill", conv: "c_1", expired_before: "m_1" });
  await settle();
  assert.deepEqual([a.ops, b.ops], [["backfill"], ["backfill"]]);
});

test("a refusal without a msg_id is for the tab whose question it answers", async () => {
  const { sockets, tabs } = browser();
  const [a, b] = await tabs();
  await b.say({ op: "sync", marks: {} });
  await a.say({ op: "presence", users: ["u_1"] });
  const slower = { op: "error", code: "rate_limited", detail: "", retry_after: 1 };
  sockets[0].answer(slower);
  await settle();
  assert.deepEqual([a.ops, b.ops], [[], ["error", "pong"]]);
  sockets[0].answer(slower);
  await settle();
  assert.deepEqual([a.ops, b.ops], [["error", "pong"], ["error", "pong"]]);
});

test("delivered goes out once, whichever tab is the first", async () => {
  const { sockets, tabs } = browser();
  const [a, b] = await tabs();
  await b.say({ op: "delivered", server_id: "m_1" });
  await a.say({ op: "delivered", server_id: "m_1" });
  await a.say({ op: "delivered", server_id: "m_2" });
  assert.deepEqual(written(sockets[0], "delivered").map((frame) => frame.server_id), ["m_1", "m_2"]);
});

test("all are watched whom any tab watches, those of the tab that asked last first", async () => {
  const { sockets, tabs } = browser();
  const [a, b, c] = await tabs(3);
  const watched = () => written(sockets[0], "presence").at(-1).users;
  await a.say({ op: "presence", users: ["u_1", "u_2"] });
  await b.say({ op: "presence", users: ["u_3", "u_1"] });
  assert.deepEqual(watched(), ["u_3", "u_1", "u_2"]);
  await c.say({ op: "presence", users: ["u_4", "u_5"] });
  assert.deepEqual(watched(), ["u_4", "u_5", "u_3"]);
  // A tab that leaves watches nobody.
  c.leave();
  b.leave();
  await settle();
  await a.say({ op: "presence", users: ["u_1"] });
  assert.deepEqual(watched(), ["u_1"]);
});

for (const [how, go] of [
  ["is closed", (tab) => tab.leave()],
  ["crashes", (tab) => tab.crash()],
  ["is given up by its own end", (tab) => tab.socket.close()],
]) {
  test(`when the tab that leads ${how} the others hear it and the next one leads`, async () => {
    const { sockets, tabs } = browser();
    const [a, b, c] = await tabs(3);
    go(a);
    await settle();
    assert.deepEqual([b.codes, c.codes], [[1006], [1006]]);
    if (how !== "crashes") assert.equal(sockets[0].readyState, 3);
    await c.open();
    await b.open();
    assert.equal(sockets.length, 2);
    sockets[1].ready();
    await settle();
    assert.equal(b.ops.at(-1), "ready");
    assert.equal(c.ops.at(-1), "ready");
    await b.say({ op: "send", msg_id: "x" });
    assert.equal(written(sockets[1], "send").length, 1);
  });
}

test("a tab that leads and does not answer is given up, and loses the lead to who asks next", async () => {
  const { sockets, tabs, pass } = browser();
  const [a, b] = await tabs();
  a.freeze();
  await b.say({ op: "ping" });
  await pass(PATIENCE_MS - 1);
  assert.deepEqual(b.codes, []);
  await pass(1);
  assert.deepEqual(b.codes, [1006]);
  await b.open();
  assert.equal(sockets.length, 1);
  await pass(PATIENCE_MS);
  assert.equal(sockets.length, 2);
  sockets[1].ready();
  assert.equal(b.ops.at(-1), "ready");
  // When it thaws it finds that it leads no more, and takes nobody with it.
  a.thaw();
  await settle();
  assert.deepEqual(a.codes, [1006]);
  assert.equal(sockets[0].readyState, 3);
  assert.equal(b.codes.length, 1);
  await a.open();
  assert.equal(a.ops.at(-1), "ready");
  assert.equal(sockets.length, 2);
});

test("when the lead is stolen from a tab, it and those that followed it hear so at once", async () => {
  const { sockets, tabs, pass, locks } = browser();
  const [a, b, c] = await tabs(3);
  a.freeze();
  b.socket.close();
  await b.open();
  await pass(PATIENCE_MS);
  assert.equal(sockets.length, 2);
  assert.deepEqual([b.codes, c.codes], [[], [1006]]);
  locks.request("socket of u_me", { steal: true }, () => new Promise(() => {}));
  await settle();
  assert.deepEqual(b.codes, [1006]);
  assert.equal(sockets[1].readyState, 3);
});

test("what comes late from one that led before disturbs nobody", async () => {
  const { Tab, sockets } = browser();
  const [old, a] = [new Tab(), new Tab()];
  const channel = new (old.env().BroadcastChannel)("socket of u_me");
  let id;
  channel.onmessage = ({ data }) => (id ??= data.from);
  await a.open();
  for (const word of [{ ready: null }, { ready: "{}" }, { text: "{}" }, { code: 1012 }]) channel.postMessage({ line: "old", to: id, ...word });
  await settle();
  assert.ok(id);
  assert.deepEqual([a.codes, a.heard], [[], []]);
  assert.equal(sockets[0].readyState, 1);
});

test("a tab that leaves at what the server says keeps it from no other", async () => {
  const { sockets, tabs } = browser();
  const [a, b] = await tabs();
  a.socket.onmessage = () => a.socket.close();
  sockets[0].ready("u_other");
  await settle();
  assert.deepEqual(b.heard.map((frame) => frame.user), ["u_other"]);
});

test("a tab that leads and is about to be frozen says so first", async () => {
  const { tabs } = browser();
  const [a, b] = await tabs();
  a.page.dispatchEvent(new Event("freeze"));
  await settle();
  assert.deepEqual([a.codes, b.codes], [[1006], [1006]]);
});

test("who leads and answers is left alone", async () => {
  const { sockets, tabs, pass } = browser();
  const [, b] = await tabs();
  await b.say({ op: "ping" });
  await pass(60_000);
  assert.deepEqual(b.codes, []);
  assert.equal(sockets.length, 1);
});

test("a server that answers no ping is noticed by what another tab says, also where the leading one has no timers", async () => {
  const { sockets, tabs, pass } = browser();
  const [a, b] = await tabs();
  await b.say({ op: "ping" });
  await pass(10_000);
  b.socket.close();
  await b.open();
  assert.equal(b.ops.at(-1), "ready");
  await pass(1);
  await b.say({ op: "ping" });
  assert.deepEqual([a.codes, b.codes], [[1006], [1006]]);
  assert.equal(sockets[0].readyState, 3);
});

for (const code of [1012, 4401, 4402, 4400]) {
  test(`code ${code} of the server's reaches all tabs`, async () => {
    const { sockets, tabs } = browser();
    const all = await tabs(3);
    sockets[0].hear({ op: "drain", after_ms: 1 });
    sockets[0].end(code);
    await settle();
    for (const tab of all) {
      assert.deepEqual(tab.ops, ["drain"]);
      assert.deepEqual(tab.codes, [code]);
    }
  });
}

test("connections of different names, of users or kinds, do not know of each other", async () => {
  const { Tab, sockets } = browser();
  const [a, b] = [new Tab(), new Tab()];
  await a.open("socket of u_1");
  await b.open("socket of u_2");
  assert.equal(sockets.length, 2);
  sockets[0].ready();
  sockets[1].hear({ op: "msg", server_id: "m_1" });
  await settle();
  assert.deepEqual([a.ops, b.ops], [["ready"], ["msg"]]);
});

test("a tab alone leads a connection like any other, and says nothing to nobody", async () => {
  const { Tab, sockets } = browser();
  const a = new Tab();
  await a.open();
  sockets[0].ready();
  assert.deepEqual(a.ops, ["ready"]);
  await a.say({ op: "send", msg_id: "x" });
  assert.equal(written(sockets[0], "send").length, 1);
  a.socket.close();
  await settle();
  assert.equal(sockets[0].readyState, 3);
  assert.equal(a.socket.readyState, 3);
  assert.deepEqual(a.codes, []);
});

test("wires of two tabs send what is not acked until it is, over whichever connection there is", async () => {
  const { Tab, Real, sockets, pass } = browser();
  const wires = [new Tab(), new Tab()].map((tab) => {
    const env = tab.env();
    tab.online = 0;
    tab.wire = new Wire({
      url: "ws://host/ws",
      user: "u_me",
      onFrame: (frame) => tab.heard.push(frame),
      onState: (state) => (tab.online += state === "online"),
      onFailed: () => {},
      onSignedOut: () => (tab.signedOut = true),
      env: {
        ...env,
        random: () => 1,
        WebSocket: class extends SharedSocket {
          constructor() {
            super("socket of u_me", () => new Real(), env);
          }
        },
      },
    });
    return tab;
  });
  const [a, b] = wires;
  a.wire.connect();
  await settle();
  b.wire.connect();
  await settle();
  sockets[0].ready();
  await settle();
  assert.deepEqual([a.online, b.online, sockets.length], [1, 1, 1]);
  b.wire.deliver({ msg_id: "x", conv: "c_1", body: "hi" });
  await settle();
  assert.equal(written(sockets[0], "send").length, 1);
  // The leading tab is gone before the ack.
  a.leave();
  a.wire.stop();
  await pass(500);
  assert.equal(sockets.length, 2);
  sockets[1].ready();
  await settle();
  assert.equal(b.online, 2);
  assert.deepEqual(written(sockets[1], "send").map((frame) => frame.msg_id), ["x"]);
  sockets[1].hear({ op: "ack", msg_id: "x", server_id: "m_1", ts: 1 });
  await pass(20_000);
  assert.equal(written(sockets[1], "send").length, 1);
  // Somebody else has signed in in this browser.
  sockets[1].end(1012);
  await pass(500);
  sockets[2].ready("u_other");
  assert.ok(b.signedOut);
  assert.equal(sockets[2].readyState, 3);
});
