/** The messages of one conversation: grouped bubbles, days, events; keeps its place while the list grows. */
import { bubble } from "../bubble.js";
import { Column } from "../column.js";
import { el, icon, style } from "../dom.js";
import { _, n } from "../i18n.js";
import { keyOf, outlineOf, rowOf } from "../rows.js";

const NEAR = 80;
const OLDER_AT = 300;
const FLASH_MS = 1_600;
const STILL_MS = 900;
/** A finger that stays so long, and moves no further, asks for the menu. */
const PRESS_MS = 450;
const MOVED = 8;
/** How far below the upper edge the line "New messages" is when a thread is opened at it. */
const LINE_AT = 60;

/** What rows are high that were never painted, in px: a text by its length. */
const HIGH = { day: 46, new: 40, event: 36 };
const LINE = 21;
const CHARS = 55;
const MOST_LINES = 24;
const FILES = 220;

function guess({ kind, message }) {
  if (kind !== "message") return HIGH[kind] ?? 0;
  const lines = Math.min(MOST_LINES, Math.ceil((message.body?.length || 1) / CHARS));
  return 20 + lines * LINE + (message.media?.length ? FILES : 0);
}

/** What draws files: {attachments}; it is loaded with the first message that has any. */
let drawing = null;

export class MessageList extends HTMLElement {
  #column;
  #view = { conv: null, messages: [] };
  #newBelow = 0;
  /** The messages that were at the end at some time. */
  #seen = new Set();
  #whole = new Set();
  /** The message that the line "New messages" is above. */
  #lineAt = null;
  #stick = true;
  /** Whether its reader was led to a message, and has not moved since: then new ones are no reason to go to the end. */
  #led = false;
  #height = 0;
  #still = null;
  #pressed = null;
  #loading = null;

  connectedCallback() {
    this.older = el("div", { className: "older", hidden: true });
    this.rows = el("div", { className: "rows", role: "log", "aria-label": _("Messages"), "aria-live": "polite", "aria-relevant": "additions" });
    this.scroller = el("div", { className: "scroller", tabIndex: 0, "aria-label": _("Messages, with arrow keys one by one"), role: "group" }, this.older, this.rows);
    this.count = el("span", { className: "badge", hidden: true });
    this.jump = el("button", { className: "jump", type: "button", hidden: true, "aria-label": _("Jump to newest"), title: _("Jump to newest") }, icon("down"), this.count);
    this.replaceChildren(this.scroller, this.jump);
    const place = () => (this.#stick ? null : this.#column.place());
    this.#column = new Column(this.scroller, this.rows, { draw: (row) => this.#draw(row), guess, place });
    this.jump.addEventListener("click", () => (this.#view.past ? this.#emit("present") : this.toBottom()));
    this.scroller.addEventListener("scroll", () => this.#moved(), { passive: true });
    this.scroller.addEventListener("keydown", (event) => this.#key(event));
    this.scroller.addEventListener("contextmenu", (event) => this.#context(event));
    this.scroller.addEventListener("pointerdown", (event) => this.#press(event));
    for (const end of ["pointerup", "pointercancel", "pointermove", "scroll"]) this.scroller.addEventListener(end, (event) => this.#unpress(event), { passive: true });
    for (const hand of ["wheel", "touchmove", "pointerdown", "keydown"]) this.scroller.addEventListener(hand, () => (this.#led = false), { passive: true });
    new ResizeObserver(() => (this.#height = this.scroller.clientHeight)).observe(this.scroller);
  }

  get atBottom() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  /** The id of the first message in view; null where the newest is read. */
  get reading() {
    const place = this.#stick ? null : this.#column.place();
    return this.#view.messages.find((one) => keyOf(one) === place?.key)?.server_id ?? null;
  }

  toBottom() {
    this.#led = false;
    this.#stick = true;
    this.#column.end();
    this.#scrolled();
  }

  /** Bring a message into view and mark it for a moment; false where it is not here. */
  reveal(serverId) {
    const found = this.#view.messages.find((one) => one.server_id === serverId);
    const row = found && this.#column.bring(keyOf(found));
    if (!row) return false;
    // At once: whoever paints before the event of the scrolling must not find a reader of the newest.
    this.#led = true;
    this.#stick = false;
    this.#scrolled();
    row.focus({ preventScroll: true });
    row.classList.add("flash");
    setTimeout(() => row.classList.remove("flash"), FLASH_MS);
    return true;
  }

  /**
   * Show a thread. `view`: {conv, messages, me, group, statusOf, nameOf, textOf, quoteOf, mentionsOf, mediaOf, previewOf, isUnread, mayDo, loading,
   * complete, error, past}. `past`: these are not the newest ones.
   */
  show(view) {
    const here = this.#column.place();
    // The window around an old message is another thread, unless it has just grown together with the one that was shown.
    const turned = Boolean(view.past) !== Boolean(this.#view.past);
    const other = turned && !view.messages.some((one) => keyOf(one) === here?.key);
    const fresh = view.conv !== this.#view.conv || other;
    this.#view = view;
    if (fresh) {
      this.#led = false;
      this.#column.clear();
      this.#seen.clear();
      this.#whole.clear();
      this.#lineAt = null;
      this.#newBelow = 0;
      this.#stick = !view.past;
    }
    const came = this.#came(view.messages);
    const news = view.past || turned ? [] : came;
    // Only what is said now is read out, not a whole thread that is opened or its past.
    this.rows.setAttribute("aria-live", news.length ? "polite" : "off");
    const rows = this.#describe();
    this.#paintOlder();
    // Written here and now: what one wrote elsewhere, or what a sync brings, is no reason to leave one's place.
    const mine = news.some((one) => one.from === view.me && !one.server_id);
    if ((fresh && !view.past) || this.#stick || mine) {
      const line = fresh && rows.some((row) => row.kind === "new");
      this.#column.show(rows, line ? { key: "new", top: LINE_AT } : null);
      this.#stick = this.atBottom;
    } else {
      // What was in view stays in view, whatever was put above it. Who reads the newest has no place to be kept.
      this.#column.show(rows, fresh ? { key: rows[0].key, top: 0 } : here);
      this.#newBelow += news.filter((one) => one.from !== view.me && one.kind !== "event").length;
    }
    this.#height = this.scroller.clientHeight;
    this.#scrolled();
  }

  /** Return what has come at the end since the last time; of a thread that was not shown before, nothing. */
  #came(messages) {
    const came = [];
    let joins = false;
    for (let at = messages.length - 1; at >= 0; at -= 1) {
      const key = keyOf(messages[at]);
      if (!this.#seen.has(key)) came.unshift(messages[at]);
      else {
        joins = true;
        // Behind what is confirmed stands what is on its way.
        if (messages[at].server_id) break;
      }
      this.#seen.add(key);
    }
    return joins ? came : [];
  }

  /** Return the rows of what is shown now. */
  #describe() {
    const view = this.#view;
    if (view.error && !view.messages.length) return [{ key: "error", signature: view.error, make: () => this.#problem(view.error) }];
    if (view.loading && !view.messages.length) {
      const skeleton = () => el("ul", { className: "bubbles-loading", "aria-label": _("Loading messages") }, ...Array.from({ length: 6 }, () => el("li")));
      return [{ key: "loading", signature: "", make: skeleton }];
    }
    if (!view.messages.length) {
      const make = () => el("div", { className: "thread-state" }, el("p", { className: "hello", "aria-hidden": "true" }, "👋"), el("p", {}, _("No messages yet. Say hello!")));
      return [{ key: "empty", signature: "", make }];
    }
    const rows = outlineOf(view.messages, view.isUnread, this.#lineAt);
    this.#lineAt = rows.find((row) => row.kind === "new")?.above ?? null;
    return rows;
  }

  #draw(row) {
    if (row.make) return row;
    const shown = rowOf(row, this.#view, (key) => this.#whole.has(key));
    const { message, ...look } = shown;
    const signature = JSON.stringify([look, message?.ts, message?.error, message?.server_id, shown.media?.length && Boolean(drawing)]);
    return { signature, make: () => this.#make(shown), note: (node) => message && this.#number(node, row.at) };
  }

  /** Say which of all messages one is: those around it may not be there. */
  #number(node, at) {
    const { messages, complete } = this.#view;
    node.setAttribute("aria-posinset", at + 1);
    node.setAttribute("aria-setsize", complete ? messages.length : -1);
  }

  #make(row) {
    switch (row.kind) {
      case "day":
        return el("div", { className: "day" }, el("button", { type: "button", title: _("Go to another day"), onclick: () => this.#emit("day", { ts: row.ts }) }, row.text));
      case "new":
        return el("div", { className: "new-line" }, _("New messages"));
      case "event":
        return el("div", { className: "event", "data-message": row.key }, el("span", { dir: "auto" }, row.text));
      default: {
        const emit = (name, detail) => this.#want(name, detail);
        const made = bubble(row, emit, row.media.length ? this.#files(row, emit) : null);
        row.preview?.place(made);
        return made;
      }
    }
  }

  #files({ key, message, media }, emit) {
    if (drawing) return drawing.attachments(key, message, media, emit);
    this.#loading ??= Promise.all([import("../attachments.js"), style("media")])
      .then(
        ([module]) => {
          drawing = module;
          this.show(this.#view);
        },
        // The next such message that is painted asks again.
        () => {},
      )
      .finally(() => (this.#loading = null));
    return el("div", { className: "attachments" }, ...media.map(() => el("div", { className: "file" }, _("Attachment"))));
  }

  #problem(text) {
    return el("div", { className: "thread-state", role: "alert" }, el("p", {}, text), this.#again("button"));
  }

  #again(className) {
    return el("button", { className, type: "button", onclick: () => this.#emit("reload") }, _("Try again"));
  }

  /** Above the messages: that there are earlier ones, or why they are not there. */
  #paintOlder() {
    const { complete, error, messages } = this.#view;
    this.older.hidden = complete || !messages.length;
    const text = error ?? _("Loading earlier messages…");
    if (this.older.dataset.text === text) return;
    this.older.dataset.text = text;
    this.older.replaceChildren(text, ...(error ? [" ", this.#again("link")] : []));
  }

  #moved() {
    if (this.#column.short) {
      // What comes into view is not said now.
      this.rows.setAttribute("aria-live", "off");
      this.#column.fill();
    }
    this.#scrolled();
    this.scroller.classList.add("moving");
    clearTimeout(this.#still);
    this.#still = setTimeout(() => this.scroller.classList.remove("moving"), STILL_MS);
  }

  #scrolled() {
    const top = this.scroller.getBoundingClientRect().top + parseFloat(getComputedStyle(this.scroller).paddingBlockStart);
    for (const day of this.rows.querySelectorAll(".day")) day.classList.toggle("stuck", this.scroller.scrollTop > 0 && day.firstChild.getBoundingClientRect().top <= top);
    const { past } = this.#view;
    const bottom = this.atBottom && !past;
    // A growing window is not a reader who scrolled away.
    if (this.scroller.clientHeight === this.#height) this.#stick = bottom && !this.#led;
    if (bottom) this.#newBelow = 0;
    this.jump.hidden = bottom;
    this.count.hidden = this.#newBelow === 0;
    this.count.textContent = String(this.#newBelow);
    this.jump.setAttribute("aria-label", this.#newBelow ? n("Jump to newest, {count} new", "Jump to newest, {count} new", this.#newBelow) : _("Jump to newest"));
    if (bottom) this.#emit("seen");
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    const near = Math.max(OLDER_AT, clientHeight);
    if (past && scrollHeight - scrollTop - clientHeight < near) this.#emit("newer");
    if (!this.older.hidden && !this.#view.error && scrollTop < near) this.#emit("older");
  }

  /** The menu of a message: by the right button, the menu key, or a long press. Links and marked text keep the browser's. */
  #context(event) {
    const row = event.target.closest(".message");
    if (!row || event.target.closest("a") || !getSelection().isCollapsed || event.shiftKey) return;
    // The press that led here has opened it already.
    event.preventDefault();
    if (event.pointerType !== "touch") this.#want("menu", { key: row.dataset.message, at: row.querySelector(".bubble"), x: event.clientX, y: event.clientY });
  }

  #press(event) {
    const row = event.target.closest(".message");
    if (event.pointerType !== "touch" || !row || event.target.closest("a, button")) return;
    const held = () => {
      // The finger that is lifted then taps nothing, least of all what has just come up under it.
      event.target.addEventListener("touchend", (lifted) => lifted.preventDefault(), { once: true, passive: false });
      this.#want("menu", { key: row.dataset.message, at: row.querySelector(".bubble") });
    };
    this.#pressed = { x: event.clientX, y: event.clientY, timer: setTimeout(held, PRESS_MS) };
  }

  #unpress(event) {
    const moved = event.type === "pointermove" && this.#pressed && Math.hypot(event.clientX - this.#pressed.x, event.clientY - this.#pressed.y) < MOVED;
    if (!this.#pressed || moved) return;
    clearTimeout(this.#pressed.timer);
    this.#pressed = null;
  }

  /** Arrow keys go from message to message, from the newest in view; Enter answers. */
  #key(event) {
    const here = document.activeElement.closest?.(".message");
    if (event.key === "Enter" && here === document.activeElement) {
      event.preventDefault();
      this.#want("reply", { key: here.dataset.message });
    }
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    event.preventDefault();
    const next = this.#column.step(here?.dataset.message ?? null, event.key === "ArrowUp" ? -1 : 1, (row) => row.kind === "message");
    if (!next) return;
    this.#column.bring(next.key, "nearest").focus({ preventScroll: true });
    this.#scrolled();
  }

  #want(name, detail) {
    const message = this.#view.messages.find((one) => keyOf(one) === detail.key);
    if (name === "whole") {
      this.#whole.add(detail.key);
      // It is read from its beginning, also where it is the newest.
      this.#stick = false;
      this.show(this.#view);
      this.#column.node(detail.key)?.focus({ preventScroll: true });
    } else if (name === "reply") {
      if (message && this.#can(message).includes("reply")) this.#emit("reply", message);
    } else if (name === "menu") {
      const can = message ? this.#can(message) : [];
      if (can.length) this.#emit("menu", { ...detail, message, can });
    } else if (name === "look") {
      if (message) this.#emit("look", { id: detail.id, pictures: this.#pictures() });
    } else if (name === "react" || name === "appeal") {
      this.#emit(name, { ...detail, message });
    } else this.#emit(name, detail);
  }

  /** The pictures of the thread, oldest first. */
  #pictures() {
    const { messages, mediaOf } = this.#view;
    const of = (message) => mediaOf(message).filter((one) => one.kind === "image").map((info) => ({ info, message }));
    return messages.filter((one) => !one.deleted && one.media?.length).flatMap(of);
  }

  #can(message) {
    return message.server_id && !message.deleted ? this.#view.mayDo(message) : [];
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

customElements.define("message-list", MessageList);
