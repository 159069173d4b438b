import assert from "node:assert/strict";
import { test } from "node:test";
import { RESEND_MS, Wire, backoff } from "../../static/js/wire.js";

/** A clock that moves when told, and sockets that record what is written to them. */
function world() {
  let now = 0;
  let turn = 0;
  const timers = new Map();
  const sockets = [];
  class Socket {
    constructor() {
      this.readyState = 1;
      this.sent = [];
      sockets.push(this);
    }
    send(text) {
      this.sent.push(JSON.parse(text));
    }
    close() {
      this.readyState = 3;
    }
    hear(frame) {
      this.onmessage({ data: JSON.stringify(frame) });
    }
  }
  const log = [];
  const wire = new Wire({
    url: "ws://host/ws",
    user: "u_me",
    onFrame: (frame) => log.push(frame.op),
    onState: (state) => log.push(state),
    onFailed: (frame) => log.push(`failed ${frame.msg_id}`),
    onSignedOut: () => log.push("signed out"),
    onBroken: () => log.push("broken"),
    env: {
      WebSocket: Socket,
      now: () => now,
      random: () => 1,
      setTimeout: (work, ms) => (timers.set((turn += 1), { at: now + ms, work }), turn),
      clearTimeout: (id) => timers.delete(id),
    },
  });
  const pass = (ms) => {
    const end = now + ms;
    for (;;) {
      const [id, next] = [...timers].sort((a, b) => a[1].at - b[1].at)[0] ?? [];
      if (!next || next.at > end) break;
      timers.delete(id);
      now = next.at;
      next.work();
    }
    now = end;
  };
  const open = () => {
    wire.connect();
    sockets.at(-1).hear({ op: "ready", user: "u_me", heartbeat_s: 30, limits: {} });
    return sockets.at(-1);
  };
  return { wire, sockets, pass, open, log };
}

const sends = (socket) => socket.sent.filter((frame) => frame.op === "send").map((frame) => frame.msg_id);

test("back-off doubles to a bound, and chance takes the whole range", () => {
  assert.equal(backoff(0, () => 1), 500);
  assert.equal(backoff(3, () => 1), 4_000);
  assert.equal(backoff(30, () => 1), 30_000);
  assert.equal(backoff(30, () => 0), 0);
});

test("a send without an ack goes out again with the same id until it is acked", () => {
  const { wire, pass, open } = world();
  const socket = open();
  wire.deliver({ msg_id: "a", conv: "c", body: "hi" });
  pass(RESEND_MS);
  assert.deepEqual(sends(socket), ["a", "a"]);
  socket.hear({ op: "ack", msg_id: "a", server_id: "m", ts: 1 });
  pass(60_000);
  assert.deepEqual(sends(socket), ["a", "a"]);
});

test("what is written offline goes out in order on the next connection", () => {
  const { wire, sockets, pass, open } = world();
  open();
  sockets[0].onclose({ code: 1012 });
  wire.deliver({ msg_id: "a", conv: "c", body: "1" });
  wire.deliver({ msg_id: "b", conv: "c", body: "2" });
  pass(500);
  assert.equal(sockets.length, 2);
  sockets[1].hear({ op: "ready", user: "u_me", heartbeat_s: 30, limits: {} });
  assert.deepEqual(sends(sockets[1]), ["a", "b"]);
});

test("a passing refusal waits as long as it is told; a final one fails", () => {
  const { wire, pass, open, log } = world();
  const socket = open();
  wire.deliver({ msg_id: "a", conv: "c", body: "1" });
  socket.hear({ op: "error", code: "rate_limited", detail: "", msg_id: "a", retry_after: 10 });
  pass(9_999);
  assert.equal(sends(socket).length, 1);
  pass(1);
  assert.equal(sends(socket).length, 2);
  socket.hear({ op: "error", code: "blocked", detail: "", msg_id: "a" });
  pass(20_000);
  assert.equal(sends(socket).length, 2);
  assert.ok(log.includes("failed a"));
});

test("a socket that does not answer a ping is given up", () => {
  const { sockets, pass, open } = world();
  const socket = open();
  pass(30_000);
  assert.deepEqual(socket.sent.at(-1), { op: "ping" });
  pass(11_000);
  assert.equal(socket.readyState, 3);
  assert.equal(sockets.length, 2);
});

test("4401 leads to the login and is never retried", () => {
  const { sockets, pass, open, log } = world();
  open().onclose({ code: 4401 });
  pass(120_000);
  assert.equal(sockets.length, 1);
  assert.ok(log.includes("signed out"));
});

test("what one wrote is not sent by whoever signed in here since", () => {
  const { wire, sockets, pass, open, log } = world();
  open().onclose({ code: 1012 });
  wire.deliver({ msg_id: "a", conv: "c", body: "mine" });
  pass(500);
  sockets[1].hear({ op: "ready", user: "u_other", heartbeat_s: 30, limits: {} });
  pass(120_000);
  assert.deepEqual(sends(sockets[1]), []);
  assert.equal(sockets.length, 2);
  assert.ok(log.includes("signed out"));
});

test("who is awaited is not made to wait: waking connects at once, and from the shortest pause on", () => {
  const { wire, sockets, pass, open } = world();
  open().onclose({ code: 1006 });
  for (let attempt = 0; attempt < 5; attempt += 1) {
    pass(30_000);
    sockets.at(-1).onclose({ code: 1006 });
  }
  const before = sockets.length;
  wire.wake();
  assert.equal(sockets.length, before + 1);
  sockets.at(-1).onclose({ code: 1006 });
  pass(500);
  assert.equal(sockets.length, before + 2);
});
