import assert from "node:assert/strict";
import { test } from "node:test";
import { RESEND_MS, Wire, backoff } from "../../static/js/wire.js";
import { Clock } from "./clock.mjs";

/** A clock that moves when told, and sockets that record what is written to them. */
function world() {
  const clock = new Clock();
  const sockets = [];
  class Socket {
    constructor() {
      this.polls = this instanceof Poller;
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
  class Poller extends Socket {}
  const log = [];
  const wire = new Wire({
    url: "ws://host/ws",
    user: "u_me",
    onFrame: (frame) => log.push(frame.op),
    onState: (state) => log.push(state),
    onFailed: (frame) => log.push(`failed ${frame.msg_id}`),
    onSignedOut: () => log.push("signed out"),
    onSuspended: () => log.push("suspended"),
    onBroken: () => log.push("broken"),
    env: {
      WebSocket: Socket,
      PollSocket: Poller,
      now: clock.now,
      random: () => 1,
      setTimeout: clock.setTimeout,
      clearTimeout: clock.clearTimeout,
    },
  });
  const pass = (ms) => {
    const end = clock.time + ms;
    while (clock.next(end));
    clock.time = end;
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

test("what was written earlier goes out earlier, whichever page has written it", () => {
  const { wire, sockets } = world();
  wire.deliver({ msg_id: "c", conv: "c", body: "3", ts: 3 });
  wire.deliver({ msg_id: "a", conv: "c", body: "1", ts: 1 });
  wire.deliver({ msg_id: "b", conv: "c", body: "2", ts: 1 });
  wire.connect();
  sockets[0].hear({ op: "ready", user: "u_me", heartbeat_s: 30, limits: {} });
  assert.deepEqual(sends(sockets[0]), ["a", "b", "c"]);
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

test("4401 leads to the login, 4402 to why one is suspended, and neither is retried", () => {
  for (const [code, told] of [[4401, "signed out"], [4402, "suspended"]]) {
    const { sockets, pass, open, log } = world();
    open().onclose({ code });
    pass(120_000);
    assert.equal(sockets.length, 1);
    assert.ok(log.includes(told));
  }
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

const READY = { op: "ready", user: "u_me", heartbeat_s: 30, limits: {} };

/** Let `count` connections in a row end before anything is heard. */
function fail({ wire, sockets, pass }, count) {
  if (sockets.length === 0) wire.connect();
  for (let turn = 0; turn < count; turn += 1) {
    const before = sockets.length;
    sockets.at(-1).onclose({ code: 1006 });
    while (sockets.length === before) pass(500);
  }
}

test("where three sockets in a row never say anything, it polls", () => {
  const all = world();
  const { wire, sockets } = all;
  fail(all, 3);
  assert.deepEqual(sockets.map((socket) => socket.polls), [false, false, false, true]);
  sockets[3].hear(READY);
  wire.deliver({ msg_id: "a", conv: "c", body: "1" });
  assert.deepEqual(sends(sockets[3]), ["a"]);
  // A session that is lost is followed by another.
  sockets[3].onclose({ code: 1006 });
  all.pass(500);
  assert.equal(sockets.at(-1).polls, true);
});

test("a socket that spoke once starts the count anew, however it ended", () => {
  const all = world();
  fail(all, 2);
  all.sockets.at(-1).hear(READY);
  fail(all, 3);
  assert.deepEqual(all.sockets.map((socket) => socket.polls), [false, false, false, false, false, false]);
  fail(all, 1);
  assert.equal(all.sockets.at(-1).polls, true);
});

test("where polling does not open either, the two take turns", () => {
  const all = world();
  fail(all, 6);
  assert.deepEqual(all.sockets.map((socket) => socket.polls), [false, false, false, true, false, true, false]);
});

test("while it polls it looks for a socket, and moves over once one speaks", () => {
  const all = world();
  const { wire, sockets, pass, log } = all;
  fail(all, 3);
  sockets[3].hear(READY);
  log.length = 0;
  pass(9_999);
  assert.equal(sockets.length, 4);
  pass(1);
  assert.equal(sockets.length, 5);
  // Closed at once, then silent: the pauses double, and nobody notices.
  sockets[4].onclose({ code: 1006 });
  pass(20_000);
  assert.equal(sockets.length, 6);
  // The heartbeat is the polling's meanwhile.
  sockets[3].hear({ op: "pong", ts: 1 });
  pass(15_000);
  assert.equal(sockets[5].readyState, 3);
  pass(20_000);
  sockets[3].hear({ op: "pong", ts: 2 });
  pass(19_999);
  assert.equal(sockets.length, 6);
  pass(1);
  assert.equal(sockets.length, 7);
  assert.ok(!log.includes("offline") && !log.includes("connecting"));
  assert.equal(sockets[6].polls, false);
  sockets[6].hear(READY);
  assert.equal(sockets[3].readyState, 3);
  wire.deliver({ msg_id: "a", conv: "c", body: "1" });
  assert.deepEqual(sends(sockets[6]), ["a"]);
  assert.deepEqual(sends(sockets[3]), []);
  assert.ok(!log.includes("offline") && !log.includes("connecting"));
  // It is a connection like any other, and nothing else is tried beside it.
  sockets[6].hear({ op: "pong", ts: 4 });
  sockets[6].onclose({ code: 1012 });
  pass(500);
  assert.deepEqual(sockets.slice(7).map((socket) => socket.polls), [false]);
});

test("who stops looks for nothing any more", () => {
  const all = world();
  const { wire, sockets, pass } = all;
  fail(all, 3);
  sockets[3].hear(READY);
  pass(10_000);
  wire.stop();
  assert.equal(sockets[4].readyState, 3);
  pass(600_000);
  assert.equal(sockets.length, 5);
});

test("a change is sent until it is acked, in the words of the protocol", () => {
  const { wire, open, pass } = world();
  const socket = open();
  const change = (op, more) => ({ op, msg_id: op, conv: "c_1", target: "m_1", ts: 1, order: 1, ...more });
  wire.deliver(change("edit", { body: "better" }));
  wire.deliver(change("delete"));
  wire.deliver(change("react", { emoji: "👍", on: false }));
  wire.deliver({ msg_id: "x", conv: "c_1", body: "again", forwarded: true, forwarded_from: "m_9" });
  assert.deepEqual(socket.sent, [
    { op: "edit", msg_id: "edit", server_id: "m_1", body: "better" },
    { op: "delete", msg_id: "delete", server_id: "m_1" },
    { op: "react", msg_id: "react", server_id: "m_1", emoji: "👍", on: false },
    { op: "send", msg_id: "x", conv: "c_1", body: "again", forwarded_from: "m_9" },
  ]);
  for (const msg_id of ["edit", "react", "x"]) socket.hear({ op: "ack", msg_id, server_id: "m_5", ts: 1 });
  pass(RESEND_MS);
  assert.deepEqual(socket.sent.slice(4).map((frame) => frame.op), ["delete"]);
});
