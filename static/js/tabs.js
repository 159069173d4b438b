/**
 * One connection for all tabs of a user in a browser (docs/decisions/0073-tabs.md).
 *
 * One tab leads: it holds a Web Lock and the real connection. The others speak with it over a BroadcastChannel. To `wire.js`
 * each tab's end of it looks like a WebSocket of its own: `readyState`, `send`, `close`, `onmessage`, `onclose`.
 *
 * What is on the channel. From who leads, with `line`, the name of one connection, and `to` where it is for one tab:
 * `ready` ("I lead", with the server's `ready`, or null), `text` (a frame of the server's), `code` (it is over). From the
 * others, with `from`: `hello` ("who leads?"), and with `line` as well `text` (a frame to the server) or `bye`.
 */

/** Of what is said on the channel: tabs of different ones have a connection each. */
const VERSION = 1;
/** Who leads answers within this, in ms, or is taken for frozen. */
const PATIENCE_MS = 3_000;
/** The server answers a ping within this, in ms, or the connection is taken for dead. */
const PONG_MS = 10_000;
/** Receipts that are remembered, so that each goes out once. */
const MOST_TOLD = 1_000;
const LOST = 1006;
const PING = '{"op":"ping"}';

/** Who leads: what goes from each tab to the server, and to which tabs what comes back. */
export class Line {
  /** The server's `ready`, once it has come. */
  ready = null;
  #limits = {};
  /** Everybody who shares the connection. */
  #tabs = new Set();
  /** What is asked and not answered, oldest first: {tab, at, moved}. A ping comes after each: the server answers in order. */
  #asked = [];
  /** Tab -> whom it watches, the one that asked last at the end. */
  #watched = new Map();
  #told = new Set();
  #heardAt;

  /** @param {{write: Function, pass: Function, now: Function}} ways `write(text)` to the server, `pass(tab, text)` to a tab, or to all (null). */
  constructor({ write, pass, now }) {
    Object.assign(this, { write, pass, now });
    this.#heardAt = now();
  }

  join(tab) {
    this.#tabs.add(tab);
  }

  leave(tab) {
    this.#tabs.delete(tab);
    this.#watched.delete(tab);
  }

  get isShared() {
    return this.#tabs.size > 1;
  }

  /** Has the server not answered for too long? Asked when a tab says something: timers of a hidden page are slow. */
  get isDead() {
    return this.#asked.length > 0 && this.now() - Math.max(this.#asked[0].at, this.#heardAt) > PONG_MS;
  }

  /** A tab's frame goes to the server. */
  take(tab, text) {
    const frame = JSON.parse(text);
    switch (frame.op) {
      case "delivered":
        // Of a device, whichever of its tabs is the first.
        if (this.#told.has(frame.server_id)) return;
        this.#told.add(frame.server_id);
        if (this.#told.size > MOST_TOLD) this.#told.delete(this.#told.values().next().value);
        this.write(text);
        break;
      case "presence":
        this.#ask(tab, JSON.stringify({ op: "presence", users: this.#watch(tab, frame.users) }));
        break;
      case "ping":
        this.#ask(tab);
        break;
      case "sync":
        this.#ask(tab, text);
        break;
      default:
        this.write(text);
    }
  }

  /** A frame of the server's goes to whom it is for. */
  heard(text) {
    const frame = JSON.parse(text);
    this.#heardAt = this.now();
    switch (frame.op) {
      case "ready":
        this.ready = text;
        this.#limits = frame.limits;
        this.pass(null, text);
        break;
      case "pong":
        this.#answered(text);
        break;
      case "backfill":
        // One with a mark begins where one tab's marks end. One without was not asked for.
        if (frame.mark) this.#filled(frame, text);
        else this.pass(null, text);
        break;
      case "error":
        if (!frame.msg_id && this.#asked.length) this.pass(this.#asked[0].tab, text);
        else this.pass(null, text);
        break;
      default:
        this.pass(null, text);
    }
  }

  /** Ask the server for something, and know by the pong when all of the answer has come. */
  #ask(tab, text) {
    if (text) this.write(text);
    this.write(PING);
    this.#asked.push({ tab, at: this.now(), moved: new Map() });
  }

  #answered(text) {
    const { tab, moved } = this.#asked.shift() ?? {};
    if (!tab) return;
    this.pass(tab, text);
    for (const word of moved.values()) this.pass(tab, word);
  }

  /** One tab is told what came after its mark. The others learn up to where, each after what it has asked for itself. */
  #filled({ conv, mark }, text) {
    const asker = this.#asked[0]?.tab;
    const word = JSON.stringify({ op: "moved", conv, mark });
    for (const tab of this.#tabs) {
      const own = this.#asked.findLast((one) => one.tab === tab);
      if (tab === asker) this.pass(tab, text);
      else if (own) own.moved.set(conv, word);
      else this.pass(tab, word);
    }
  }

  /** Whom all tabs watch, the asking one's first: more than the limit are not watched. */
  #watch(tab, users) {
    this.#watched.delete(tab);
    this.#watched.set(tab, users);
    return [...new Set([...this.#watched.values()].reverse().flat())].slice(0, this.#limits.max_presence_users);
  }
}

/** A tab's end of the connection. */
export class SharedSocket {
  onmessage = null;
  onclose = null;
  #id = crypto.randomUUID();
  #name;
  #open;
  #env;
  #channel;
  /** The connection's name, once there is one. */
  #line = null;
  /** Where this tab leads: the real connection, and what goes over it. */
  #real = null;
  #lead = null;
  #over = false;
  #timer = null;
  #release = () => {};
  #gone = new AbortController();

  /** @param {Function} open makes the real connection; @param {object} env brings locks, channels, timers, the clock and the page. */
  constructor(name, open, env) {
    this.#name = name;
    this.#open = open;
    this.#env = env;
    this.#channel = new env.BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#said(data);
    // Who waits for the lock gets it when who leads is gone, however that went.
    this.#want({ signal: this.#gone.signal });
    this.#greet();
    this.#await(() => this.#want({ steal: true }));
    // A page that is left, or will not run for a while, gives it up at once; when it comes back it begins anew.
    for (const leaving of ["pagehide", "freeze"]) env.page.addEventListener(leaving, () => this.#end(LOST), { capture: true, signal: this.#gone.signal });
  }

  get readyState() {
    if (this.#over) return 3;
    return this.#real ? this.#real.readyState : Number(this.#line !== null);
  }

  send(text) {
    if (this.readyState !== 1) return;
    if (this.#lead) this.#lead.take(this.#id, text);
    else {
      this.#say({ from: this.#id, line: this.#line, text });
      if (!this.#timer) this.#await(() => this.#end(LOST));
    }
  }

  /** Leave; nothing is heard from here on. `code` is what other tabs hear, where this one leads. */
  close(code = LOST) {
    if (this.#over) return;
    this.#over = true;
    this.#heard();
    if (this.#real) {
      this.#real.onmessage = this.#real.onclose = null;
      this.#real.close();
      this.#say({ line: this.#line, code });
    } else if (this.#line) this.#say({ from: this.#id, line: this.#line, bye: true });
    this.#channel.close();
    this.#gone.abort();
    this.#release();
  }

  #end(code) {
    if (this.#over) return;
    this.close(code);
    this.onclose?.({ code });
  }

  #say(words) {
    this.#channel.postMessage(words);
  }

  #await(then) {
    this.#timer = this.#env.setTimeout(then, PATIENCE_MS);
  }

  /** Who leads is there. */
  #heard() {
    this.#env.clearTimeout(this.#timer);
    this.#timer = null;
  }

  #want(options) {
    // It rejects where it was called off, and where another tab has stolen it from this one.
    this.#env.locks.request(this.#name, options, () => this.#granted()).catch(() => this.#end(LOST));
  }

  #granted() {
    if (this.#over || this.#real) return null;
    if (this.#line) {
      // Whoever led is gone without a word.
      this.#end(LOST);
      return null;
    }
    this.#heard();
    this.#leads();
    return new Promise((release) => (this.#release = release));
  }

  #leads() {
    this.#line = crypto.randomUUID();
    const real = this.#open();
    this.#real = real;
    this.#lead = new Line({
      write: (text) => real.readyState === 1 && real.send(text),
      pass: (tab, text) => this.#pass(tab, text),
      now: this.#env.now,
    });
    this.#lead.join(this.#id);
    real.onmessage = ({ data }) => this.#lead.heard(data);
    real.onclose = ({ code }) => this.#end(code);
    this.#say({ line: this.#line, ready: null });
  }

  /** Say what the server says: to other tabs first, as this one may leave when it hears it. */
  #pass(tab, text) {
    if (tab !== this.#id && this.#lead.isShared) this.#say({ line: this.#line, to: tab, text });
    if (!tab || tab === this.#id) this.onmessage?.({ data: text });
  }

  #said(data) {
    if (data.to && data.to !== this.#id) return;
    if (data.from) this.#asked(data);
    else if (!this.#line) this.#found(data);
    else if (data.line === this.#line) {
      this.#heard();
      if (data.text) this.onmessage?.({ data: data.text });
      if (data.code) this.#end(data.code);
    } else if (data.ready === null && !data.to) {
      // Another one leads now.
      this.#end(LOST);
    }
  }

  /** Somebody leads, and has answered this tab or does not know of it yet. */
  #found({ line, ready, to }) {
    if (ready === undefined) return;
    if (!to) {
      this.#greet();
      return;
    }
    this.#heard();
    this.#line = line;
    if (ready) this.onmessage?.({ data: ready });
  }

  #greet() {
    this.#say({ from: this.#id, hello: true });
  }

  /** Another tab says something to who leads. */
  #asked({ from, line, hello, bye, text }) {
    if (!this.#lead) return;
    if (this.#lead.isDead) this.#end(LOST);
    else if (bye) this.#lead.leave(from);
    else if (hello) {
      this.#lead.join(from);
      this.#say({ line: this.#line, to: from, ready: this.#lead.ready });
    } else if (line === this.#line) {
      this.#say({ line, to: from });
      this.#lead.take(from, text);
    }
  }
}

/** Return the class of connections of a name that tabs share, of which the real ones are of class `Real`. */
export const sharing = (name, Real, env = {}) =>
  class extends SharedSocket {
    constructor(...given) {
      super(`chat ${VERSION} ${name}`, () => new Real(...given), {
        locks: navigator.locks,
        BroadcastChannel,
        page: globalThis,
        setTimeout: (...args) => setTimeout(...args),
        clearTimeout: (id) => clearTimeout(id),
        now: () => Date.now(),
        ...env,
      });
    }
  };
