/** One file on its way to the server: in parts, again after a broken connection, until it is ready or refused. */
import { _ } from "./i18n.js";
import { backoff } from "./wire.js";

/** How long a file is looked at is asked for after these pauses; the last one repeats. */
const POLLS_MS = [250, 500, 1_000, 2_000];

/** Nobody answered, too many asked, or the server could not: it passes. */
const passes = ({ status }) => status === 0 || status === 429 || status >= 500;

/**
 * `state`: `uploading`, `waiting` (for the connection; it goes on by itself), `processing`, `ready`, `failed` (`error` says
 * why). `info` is what the server says of the file. Tells of changes by `change`.
 */
export class Upload extends EventTarget {
  state = "uploading";
  info = null;
  error = null;
  #sent = 0;
  #ended = new AbortController();
  #attempt = 0;
  #wake = () => {};

  /** `api` has the calls of api-more.js; `env` the timers and chance. */
  constructor(file, { conv, name, voice = false, duration = null, api, env = {} }) {
    super();
    Object.assign(this, { file, conv, name: name ?? file.name, voice, duration, api });
    this.env = { setTimeout: (...args) => setTimeout(...args), random: () => Math.random(), ...env };
  }

  /** From 0 to 1. */
  get progress() {
    return this.state === "uploading" || this.state === "waiting" ? Math.min(1, this.#sent / this.file.size) : 1;
  }

  /** Upload; the promise is kept in the end, whatever comes. */
  async run() {
    while (!this.#ended.signal.aborted) {
      try {
        await this.#advance();
        return;
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        if (!passes(error)) {
          this.#set("failed", error.message);
          return;
        }
        this.#attempt += 1;
        this.#set("waiting");
        await this.#pause(backoff(this.#attempt + 1, this.env.random));
      }
    }
  }

  /** Do not wait longer: there may be a connection. */
  wake() {
    if (this.state === "waiting") this.#wake();
  }

  /** Begin anew what failed. */
  retry() {
    this.info = null;
    this.#sent = 0;
    this.#attempt = 0;
    this.#set("uploading");
    return this.run();
  }

  /** Stop, and have the server forget what came. */
  cancel() {
    this.#ended.abort();
    this.#wake();
    if (this.info) this.api.cancelMedia(this.info.id).catch(() => {});
  }

  async #advance() {
    this.info = this.info ? await this.api.media(this.info.id) : await this.api.beginMedia(this.#announcement());
    if (this.info.state === "uploading") this.#set("uploading");
    while (this.info.state === "uploading" && !this.#ended.signal.aborted) {
      if (this.info.missing.length) {
        await this.#send(this.info.missing);
        this.info = await this.api.media(this.info.id);
      } else this.info = await this.api.completeMedia(this.info.id);
    }
    for (let turn = 0; this.info.state === "processing" && !this.#ended.signal.aborted; turn += 1) {
      this.#set("processing");
      await this.#pause(POLLS_MS[Math.min(turn, POLLS_MS.length - 1)]);
      this.info = await this.api.media(this.info.id);
    }
    if (this.#ended.signal.aborted) {
      // It was cancelled while the server began it.
      this.api.cancelMedia(this.info.id).catch(() => {});
    } else if (this.info.state === "refused") this.#set("failed", _("Refused: {reason}.", { reason: _(this.info.reason) }));
    else this.#set("ready");
  }

  #announcement() {
    return { conversation: this.conv, name: this.name, size: this.file.size, type: this.file.type, voice: this.voice, duration_ms: this.duration };
  }

  async #send(parts) {
    this.#sent = parts[0].offset;
    for (const { offset, size, url } of parts) {
      if (this.#ended.signal.aborted) return;
      await this.api.putPart(url, this.file.slice(offset, offset + size), this.#ended.signal);
      this.#attempt = 0;
      this.#sent = offset + size;
      this.#set("uploading");
    }
  }

  #pause(ms) {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.env.setTimeout(resolve, ms);
    });
  }

  #set(state, error = null) {
    this.state = state;
    this.error = error;
    this.dispatchEvent(new Event("change"));
  }
}

/** Upload a picture of a group's (`conv`) or, without one, one's own; resolves to its reference. Throws with a sentence. */
export async function uploadPicture(file, { conv = null, api }) {
  const upload = new Upload(file, { conv, api });
  await upload.run();
  if (upload.state !== "ready") throw new Error(upload.error ?? _("The picture could not be uploaded."));
  if (upload.info.kind !== "image") {
    upload.cancel();
    throw new Error(_("This is no picture."));
  }
  return upload.info.id;
}
