/**
 * The socket: connects, comes back, keeps alive, and sends each message until it is acked.
 *
 * `send` is at-least-once: the same `msg_id` goes out again after a pause or on the next connection,
 * and the server answers every copy with the first one's id.
 *
 * Where sockets never open, it polls over plain HTTP, and looks for a socket now and then.
 */
export const RESEND_MS = 3_000;
const BASE_MS = 500;
const CAP_MS = 30_000;
const PONG_MS = 10_000;
const CONNECT_MS = 15_000;
/** So many sockets in a row from which nothing was heard; then it polls. */
const POLL_AFTER = 3;
/** While it polls, the first pause before it tries a socket; doubled up to the longest. */
const PROBE_MS = 10_000;
const PROBE_CAP_MS = 300_000;
/** Refusals that pass; any other answer to a send is final. */
const PASSING = new Set(["rate_limited", "unavailable", "internal"]);

/** A connection whose class is loaded when one is wanted; `load` promises it. */
export const late = (load) =>
  class {
    #socket = null;
    #closed = false;

    constructor(...given) {
      const begin = (Socket) => {
        if (this.#closed) return;
        this.#socket = new Socket(...given);
        this.#socket.onmessage = (event) => this.onmessage?.(event);
        this.#socket.onclose = (event) => this.onclose?.(event);
      };
      load().then(begin, () => this.onclose?.({ code: 1006 }));
    }

    get readyState() {
      return this.#socket?.readyState ?? 0;
    }

    send(text) {
      this.#socket.send(text);
    }

    close() {
      this.#closed = true;
      this.#socket?.close();
    }
  };

/** A connection by polling, which few ever need. */
export const LatePollSocket = late(() => import("./poll.js").then(({ PollSocket }) => PollSocket));

/** What goes out of a message, or, where there is an `op`, of a change of `target`. */
function frameOf({ op = "send", msg_id, conv, target, body, media, reply_to, forwarded_from, mentions, emoji, on }) {
  const named = mentions?.length ? { mentions } : {};
  switch (op) {
    case "edit":
      return { op, msg_id, server_id: target, body, ...named };
    case "delete":
      return { op, msg_id, server_id: target };
    case "react":
      return { op, msg_id, server_id: target, emoji, on };
    case "pin":
      return { op, msg_id, server_id: target, on };
    default:
      return { op, msg_id, conv, body, ...(media?.length ? { media } : {}), ...(reply_to ? { reply_to } : {}), ...(forwarded_from ? { forwarded_from } : {}), ...named };
  }
}

/** Full jitter: anything from nothing to the doubling bound, in ms. */
export const backoff = (attempt, random) => random() * Math.min(CAP_MS, BASE_MS * 2 ** attempt);

export class Wire {
  #socket = null;
  /** Reconnect and resend have a timer each: writing while offline must not call the reconnect off. */
  #reconnect = null;
  #resend = null;
  #watchdog = null;
  #pinger = null;
  #attempt = 0;
  #polls = false;
  /** Whether anything came over the present connection. */
  #opened = false;
  /** Sockets since the last one from which something was heard. */
  #unopened = 0;
  /** A socket that is tried while it polls, and the timer of that. */
  #probe = null;
  #prober = null;
  #stopped = false;
  #ready = false;
  /** msg_id -> {frame, ts, due, tries}: everything that is not acked. */
  #unacked = new Map();

  /**
   * @param {{url: string, user: string, onFrame: Function, onState: Function, onFailed: Function,
   *   onSignedOut: Function, onSuspended: Function, onBroken: Function, env?: object}} options `user` is whose messages these are;
   *   `env` brings WebSocket, PollSocket, timers, clock and chance.
   */
  constructor({ url, user, onFrame, onState, onFailed, onSignedOut, onSuspended, onBroken, env = {} }) {
    Object.assign(this, { url, user, onFrame, onState, onFailed, onSignedOut, onSuspended, onBroken });
    this.env = {
      WebSocket: globalThis.WebSocket,
      PollSocket: LatePollSocket,
      setTimeout: (...args) => setTimeout(...args),
      clearTimeout: (id) => clearTimeout(id),
      now: () => Date.now(),
      random: () => Math.random(),
      ...env,
    };
    this.lastHeard = 0;
    /** When it tries to connect again, while it is offline. */
    this.retryAt = 0;
    this.heartbeatMs = 30_000;
  }

  get ready() {
    return this.#ready;
  }

  connect() {
    this.env.clearTimeout(this.#reconnect);
    this.#reconnect = null;
    if (this.#stopped || this.#socket) return;
    this.onState("connecting");
    const polls = this.#unopened >= POLL_AFTER;
    this.#take(polls ? new this.env.PollSocket(this.url) : this.#newSocket(), polls);
    this.#watch(CONNECT_MS);
  }

  #newSocket() {
    return new this.env.WebSocket(this.url, ["chat.v1.json"]);
  }

  /** Let this be the connection. */
  #take(socket, polls) {
    this.#socket = socket;
    this.#polls = polls;
    this.#opened = false;
    socket.onmessage = (event) => {
      if (socket === this.#socket) this.#heard(JSON.parse(event.data));
    };
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#closed(event.code);
    };
  }

  /** The network or the page is back: find out at once whether the socket still lives. */
  wake() {
    if (this.#stopped) return;
    if (!this.#socket) {
      this.#attempt = 0;
      this.connect();
    } else if (this.#ready) {
      this.#ping();
    }
  }

  stop() {
    this.#stopped = true;
    this.env.clearTimeout(this.#reconnect);
    this.#drop();
  }

  /** Write a frame if there is a connection; what is ephemeral is never queued. */
  tell(frame) {
    if (this.#ready) this.#write(frame);
    return this.#ready;
  }

  /** Send a message, or a change of one, until it is acked or refused. */
  deliver(entry) {
    const { msg_id, ts } = entry;
    const frame = frameOf(entry);
    this.#unacked.set(msg_id, { frame, ts, due: this.env.now(), tries: 0 });
    this.#flush();
  }

  #write(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #heard(frame) {
    this.lastHeard = this.env.now();
    this.env.clearTimeout(this.#watchdog);
    if (!this.#opened) {
      this.#opened = true;
      if (this.#polls) this.#lookForSocket(PROBE_MS);
      else this.#unopened = 0;
    }
    if (frame.op === "ready") {
      if (frame.user !== this.user) {
        // Somebody else has signed in in this browser since: what waits here is not theirs to send.
        this.stop();
        this.onSignedOut();
        return;
      }
      this.#ready = true;
      this.#attempt = 0;
      this.heartbeatMs = frame.heartbeat_s * 1000;
      this.#schedulePing();
      this.onFrame(frame);
      this.onState("online");
      for (const entry of this.#unacked.values()) Object.assign(entry, { due: this.env.now(), tries: 0 });
      this.#flush();
      return;
    }
    if (frame.op === "ack") this.#unacked.delete(frame.msg_id);
    if (frame.op === "error" && frame.msg_id && this.#unacked.has(frame.msg_id)) {
      const entry = this.#unacked.get(frame.msg_id);
      if (PASSING.has(frame.code)) {
        entry.due = this.env.now() + Math.max(200, (frame.retry_after ?? 1) * 1000);
        this.#flush();
      } else {
        this.#unacked.delete(frame.msg_id);
        this.onFailed(entry.frame, frame);
      }
      return;
    }
    this.onFrame(frame);
  }

  #flush() {
    this.env.clearTimeout(this.#resend);
    this.#resend = null;
    if (!this.#ready) return;
    const now = this.env.now();
    let next = Infinity;
    // In the order of writing: what an earlier page left unsent may come to this one after what was written here.
    for (const entry of [...this.#unacked.values()].sort((a, b) => a.ts - b.ts)) {
      if (entry.due <= now) {
        this.#write(entry.frame);
        entry.due = now + Math.min(CAP_MS, RESEND_MS * 2 ** entry.tries);
        entry.tries += 1;
      }
      next = Math.min(next, entry.due);
    }
    if (next < Infinity) this.#resend = this.env.setTimeout(() => this.#flush(), next - now);
  }

  #schedulePing() {
    this.env.clearTimeout(this.#pinger);
    this.#pinger = this.env.setTimeout(() => {
      this.#ping();
      this.#schedulePing();
    }, this.heartbeatMs);
  }

  #ping() {
    this.#write({ op: "ping" });
    this.onState("heartbeat");
    this.#watch(PONG_MS);
  }

  /** Give the server so long to say anything; then the socket is taken for dead. */
  #watch(ms) {
    this.env.clearTimeout(this.#watchdog);
    this.#watchdog = this.env.setTimeout(() => this.#closed(1006), ms);
  }

  /** Try a socket in `ms`, and again until one says something; then it takes the place of the polling. */
  #lookForSocket(ms) {
    this.#prober = this.env.setTimeout(() => {
      const probe = this.#newSocket();
      this.#probe = probe;
      const again = () => {
        this.#dropProbe();
        this.#lookForSocket(Math.min(PROBE_CAP_MS, ms * 2));
      };
      probe.onclose = again;
      probe.onmessage = (event) => {
        this.#probe = null;
        this.#drop();
        this.#take(probe, false);
        this.#heard(JSON.parse(event.data));
      };
      this.#prober = this.env.setTimeout(again, CONNECT_MS);
    }, ms);
  }

  #dropProbe() {
    this.env.clearTimeout(this.#prober);
    const probe = this.#probe;
    this.#probe = null;
    if (!probe) return;
    probe.onclose = probe.onmessage = null;
    probe.close();
  }

  #drop() {
    this.#dropProbe();
    this.env.clearTimeout(this.#watchdog);
    this.env.clearTimeout(this.#pinger);
    this.env.clearTimeout(this.#resend);
    const socket = this.#socket;
    this.#socket = null;
    this.#ready = false;
    socket?.close();
  }

  #closed(code) {
    // Where polling does not open either it is not the network's dislike of sockets: they take turns.
    if (!this.#opened) this.#unopened = this.#polls ? POLL_AFTER - 1 : this.#unopened + 1;
    this.#drop();
    this.env.clearTimeout(this.#reconnect);
    if (this.#stopped) return;
    if (code === 4401) {
      this.#stopped = true;
      this.onSignedOut();
      return;
    }
    if (code === 4402) {
      this.#stopped = true;
      this.onSuspended();
      return;
    }
    if (code >= 4400 && code < 4450) {
      this.#stopped = true;
      this.onBroken(code);
      return;
    }
    const pause = backoff(this.#attempt, this.env.random);
    this.retryAt = this.env.now() + pause;
    this.onState("offline");
    this.#reconnect = this.env.setTimeout(() => this.connect(), pause);
    this.#attempt += 1;
  }
}
