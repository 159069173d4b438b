/**
 * A socket over plain HTTP, for networks that block WebSockets (docs/protocol.md, "Long polling").
 *
 * To `wire.js` it looks like a WebSocket: `readyState`, `send`, `close`, `onmessage`, `onclose`.
 */

/** Of one request; the server takes 100 frames and 1 MiB. */
const MAX_FRAMES = 100;
const MAX_CHARS = 300_000;
/** Answers that mean what a close code does; after any other the session is taken for lost. */
const CLOSE_CODES = { 401: 4401, 403: 4403 };
const SUSPENDED = 4402;
const LOST = 1006;

/** A name that nobody guesses. */
function secret() {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

class Refused extends Error {
  constructor(status, { code } = {}) {
    super(`HTTP ${status}`);
    this.code = code === "suspended" ? SUSPENDED : (CLOSE_CODES[status] ?? LOST);
  }
}

export class PollSocket {
  readyState = 0;
  onmessage = null;
  onclose = null;
  #url;
  #fetch;
  #headers = { "Chat-Session": secret() };
  #gone = new AbortController();
  #waiting = [];
  #posting = false;

  /** @param {string} url the socket's; @param {Function} fetch the browser's, but in tests. */
  constructor(url, fetch = (...request) => globalThis.fetch(...request)) {
    this.#url = new URL("/v1/poll", url.replace(/^ws/, "http")).href;
    this.#fetch = fetch;
    this.#run();
  }

  /** Send a frame, after those before it. */
  send(text) {
    this.#waiting.push(text);
    this.#flush();
  }

  /** Leave; nothing is heard from here on. */
  close() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.#gone.abort();
    // A page that is left may not wait for the answer.
    this.#fetch(this.#url, { method: "POST", headers: this.#headers, body: '{"close":true}', keepalive: true }).catch(() => {});
  }

  async #ask(path, options) {
    const answer = await this.#fetch(this.#url + path, { ...options, headers: this.#headers, signal: this.#gone.signal });
    if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
    return answer;
  }

  #post(body) {
    return this.#ask("", { method: "POST", body });
  }

  async #run() {
    try {
      await this.#post('{"open":true}');
      if (this.readyState !== 0) return;
      this.readyState = 1;
      this.#flush();
      let last = 0;
      while (this.readyState === 1) {
        const answer = await this.#ask(`?after=${last}`, { method: "GET", cache: "no-store" });
        const heard = await answer.json();
        last = heard.last;
        for (const frame of heard.frames) this.#tell(frame);
        if (heard.close) this.#end(heard.close.code);
      }
    } catch (error) {
      this.#end(error instanceof Refused ? error.code : LOST);
    }
  }

  #tell(frame) {
    if (this.readyState !== 1) return;
    try {
      this.onmessage?.({ data: JSON.stringify(frame) });
    } catch (error) {
      // A fault of who listens is not the network's.
      globalThis.reportError(error);
    }
  }

  async #flush() {
    if (this.#posting || this.readyState !== 1) return;
    this.#posting = true;
    try {
      while (this.#waiting.length > 0) await this.#post(`{"frames":[${this.#batch().join(",")}]}`);
    } catch (error) {
      this.#end(error instanceof Refused ? error.code : LOST);
    }
    this.#posting = false;
  }

  #batch() {
    let size = 0;
    let count = 0;
    do {
      size += this.#waiting[count].length;
      count += 1;
    } while (count < Math.min(MAX_FRAMES, this.#waiting.length) && size + this.#waiting[count].length <= MAX_CHARS);
    return this.#waiting.splice(0, count);
  }

  /** It is over, and not by us. */
  #end(code) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.#gone.abort();
    this.onclose?.({ code });
  }
}
