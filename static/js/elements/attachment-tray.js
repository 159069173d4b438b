/** What will go with the next message: files on their way up, each with its progress. Tells by `change`. */
import * as api from "../api-more.js";
import { el, icon } from "../dom.js";
import { bytes, minutes } from "../format.js";
import { _, n } from "../i18n.js";
import { remember } from "../media.js";
import { Upload } from "../uploads.js";

export class AttachmentTray extends HTMLElement {
  /** Conversation -> its uploads: who looks at another one meanwhile loses nothing. */
  #uploads = new Map();
  #rows = new Map();
  #conv = null;
  max = 10;
  maxBytes = 100 * 1024 * 1024;

  connectedCallback() {
    this.list = el("ul", { className: "tray", "aria-label": _("Attachments") });
    this.append(this.list);
    this.hidden = true;
    window.addEventListener("online", () => this.wake());
  }

  /** Show those of a conversation. */
  open(conv) {
    this.#conv = conv;
    this.#paint();
  }

  get #open() {
    return this.#uploads.get(this.#conv) ?? [];
  }

  get count() {
    return this.#open.length;
  }

  /** Is any of them not there yet? */
  get waiting() {
    return this.#open.some((one) => one.state !== "ready");
  }

  /** Are there any anywhere, which leaving the page would lose? */
  get any() {
    return [...this.#uploads.values()].some((all) => all.length);
  }

  /** Begin to upload files for a conversation; returns why some cannot be, or null. */
  add(conv, files, { voice = false, duration = null } = {}) {
    const room = this.max - (this.#uploads.get(conv)?.length ?? 0);
    let problem = files.length > room ? n("A message takes {count} file.", "A message takes {count} files.", this.max) : null;
    for (const file of files.slice(0, room)) {
      if (!file.size) problem = _("“{name}” is empty, or a folder.", { name: file.name });
      else if (file.size > this.maxBytes) problem = _("“{name}” is too large: a file may have {size}.", { name: file.name, size: bytes(this.maxBytes) });
      else this.#begin(conv, file, { voice, duration });
    }
    this.#paint();
    return problem;
  }

  #begin(conv, file, more) {
    const upload = new Upload(file, { conv, api, ...more });
    this.#uploads.set(conv, [...(this.#uploads.get(conv) ?? []), upload]);
    upload.addEventListener("change", () => this.#paint());
    upload.run();
  }

  /** There may be a connection again. */
  wake() {
    for (const all of this.#uploads.values()) for (const one of all) one.wake();
  }

  get ids() {
    return this.#open.map((one) => one.info.id);
  }

  /** Return the references of what is here, which is a message's from now on. */
  take() {
    const { ids } = this;
    for (const one of this.#open) remember(one.info, one.file);
    this.#uploads.delete(this.#conv);
    this.#paint();
    return ids;
  }

  #remove(upload) {
    upload.cancel();
    this.#uploads.set(upload.conv, (this.#uploads.get(upload.conv) ?? []).filter((one) => one !== upload));
    this.#paint();
    this.dispatchEvent(new CustomEvent("removed"));
  }

  #paint() {
    const open = this.#open;
    this.hidden = !open.length;
    for (const [upload, row] of this.#rows) {
      if (open.includes(upload)) continue;
      if (row.address) URL.revokeObjectURL(row.address);
      row.node.remove();
      this.#rows.delete(upload);
    }
    for (const upload of open) {
      if (!this.#rows.has(upload)) this.#rows.set(upload, this.#make(upload));
      this.#refresh(upload, this.#rows.get(upload));
    }
    this.dispatchEvent(new CustomEvent("change"));
  }

  #make(upload) {
    const picture = /^image\/(?:png|jpeg|gif|webp|avif)$/u.test(upload.file.type);
    const address = picture ? URL.createObjectURL(upload.file) : null;
    const face = picture ? el("img", { src: address, alt: "" }) : icon(upload.voice ? "mic" : "file");
    const name = upload.voice ? _("Voice note") : upload.name;
    const bar = el("progress", { max: 1, value: 0, "aria-label": _("Upload of {name}", { name }) });
    const hint = el("small", { role: "status" });
    const retry = el("button", { className: "icon-button", type: "button", hidden: true, title: _("Try again"), "aria-label": _("Try {name} again", { name }), onclick: () => upload.retry() }, icon("retry"));
    const cancel = el("button", { className: "icon-button", type: "button", title: _("Remove"), "aria-label": _("Remove {name}", { name }), onclick: () => this.#remove(upload) }, icon("close"));
    const node = el("li", {}, el("span", { className: "face" }, face), el("span", { className: "tray-text" }, el("span", { className: "file-name", dir: "auto" }, name), hint, bar), retry, cancel);
    this.list.append(node);
    return { node, address, bar, hint, retry };
  }

  #refresh(upload, { node, bar, hint, retry }) {
    const size = upload.voice && upload.duration ? minutes(upload.duration / 1_000) : bytes(upload.file.size);
    const percent = Math.floor(upload.progress * 100);
    const words = {
      uploading: _("{percent}% of {size}", { percent, size: bytes(upload.file.size) }),
      waiting: _("No connection. It goes on by itself."),
      processing: _("Nearly there…"),
      ready: size,
      failed: upload.error,
    };
    node.dataset.state = upload.state;
    bar.value = upload.progress;
    bar.hidden = upload.state === "ready" || upload.state === "failed";
    retry.hidden = upload.state !== "failed";
    // Percents are not read out, one by one.
    hint.setAttribute("aria-live", upload.state === "uploading" ? "off" : "polite");
    if (hint.textContent !== words[upload.state]) hint.textContent = words[upload.state];
  }
}

customElements.define("attachment-tray", AttachmentTray);
