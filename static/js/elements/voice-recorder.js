/** Records a voice note: one button begins, then there is a clock, a way out and a way on. Tells of it by `recorded`. */
import { el, icon } from "../dom.js";
import { minutes } from "../format.js";
import { _ } from "../i18n.js";

const TYPES = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];
const LONGEST_MS = 10 * 60_000;
const TICK_MS = 250;

const WHY = {
  NotAllowedError: _("The microphone is not allowed here. You can change that in the browser's settings for this site."),
  NotFoundError: _("There is no microphone."),
  NotReadableError: _("The microphone is in use elsewhere."),
};

export class VoiceRecorder extends HTMLElement {
  #recorder = null;
  #pieces = [];
  #began = 0;
  #timer = null;
  #kept = false;
  #asking = false;

  connectedCallback() {
    this.begin = el("button", { className: "icon-button", type: "button", title: _("Record a voice note"), "aria-label": _("Record a voice note"), onclick: () => this.#start() }, icon("mic"));
    this.clock = el("span", { className: "recording-clock", role: "timer" });
    const drop = el("button", { className: "icon-button", type: "button", title: _("Discard"), "aria-label": _("Discard the recording"), onclick: () => this.#stop(false) }, icon("bin"));
    this.done = el("button", { className: "icon-button", type: "button", title: _("Done"), "aria-label": _("Finish the recording"), onclick: () => this.#stop(true) }, icon("check"));
    this.panel = el("span", { className: "recording", hidden: true }, el("span", { className: "recording-dot", "aria-hidden": "true" }), this.clock, drop, this.done);
    this.append(this.begin, this.panel);
    // A page that did not come over HTTPS is given no microphone.
    this.hidden = !globalThis.MediaRecorder || !navigator.mediaDevices;
  }

  /** End what is recorded, and keep nothing of it. */
  cancel() {
    this.#stop(false);
  }

  async #start() {
    if (this.#recorder || this.#asking) return;
    this.#asking = true;
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch (error) {
      this.dispatchEvent(new CustomEvent("refused", { detail: WHY[error.name] ?? _("The microphone cannot be used.") }));
      return;
    } finally {
      this.#asking = false;
    }
    const mimeType = TYPES.find((one) => MediaRecorder.isTypeSupported(one));
    const recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
    this.#recorder = recorder;
    this.#pieces = [];
    this.#began = performance.now();
    recorder.addEventListener("dataavailable", ({ data }) => this.#pieces.push(data));
    recorder.addEventListener("stop", () => this.#ended(stream, recorder.mimeType));
    recorder.start(1_000);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#tick();
    this.begin.hidden = true;
    this.panel.hidden = false;
    this.done.focus();
  }

  #tick() {
    const ms = performance.now() - this.#began;
    this.clock.textContent = minutes(ms / 1_000);
    if (ms >= LONGEST_MS) this.#stop(true);
  }

  #stop(keep) {
    if (this.#recorder?.state !== "recording") return;
    this.#kept = keep;
    this.#recorder.stop();
  }

  #ended(stream, type) {
    const duration = Math.round(performance.now() - this.#began);
    clearInterval(this.#timer);
    // Lets go of the microphone, and the browser's sign of it.
    for (const track of stream.getTracks()) track.stop();
    this.#recorder = null;
    this.panel.hidden = true;
    this.begin.hidden = false;
    const plain = type.split(";")[0] || "audio/webm";
    const file = new File(this.#pieces, `voice-note.${plain.split("/")[1]}`, { type: plain });
    this.#pieces = [];
    if (this.#kept && file.size) this.dispatchEvent(new CustomEvent("recorded", { detail: { file, duration } }));
    else this.begin.focus();
  }
}

customElements.define("voice-recorder", VoiceRecorder);
