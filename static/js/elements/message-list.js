/** The messages of one conversation: grouped bubbles, days, events; keeps its place while the list grows. */
import { avatar, el, hueOf, icon, linkify, ticks } from "../dom.js";
import { clock, dayLabel, sameDay } from "../format.js";

const GROUP_MS = 5 * 60_000;
const NEAR = 80;
const EMOJI = /^(?:\p{Extended_Pictographic}[\u{1F3FB}-\u{1F3FF}]?\uFE0F?(?:\u200D\p{Extended_Pictographic}\uFE0F?)*\s*){1,3}$/u;

export class MessageList extends HTMLElement {
  #rows = new Map();
  #conv = null;
  #newBelow = 0;
  #seen = new Set();
  #stick = true;
  #height = 0;

  connectedCallback() {
    this.older = el("p", { className: "older", hidden: true }, "Loading earlier messages…");
    this.rows = el("div", { className: "rows", role: "log", "aria-label": "Messages", "aria-live": "polite", "aria-relevant": "additions" });
    this.scroller = el("div", { className: "scroller", tabIndex: 0 }, this.older, this.rows);
    this.count = el("span", { className: "badge", hidden: true });
    this.jump = el("button", { className: "jump", type: "button", hidden: true, "aria-label": "Jump to newest", title: "Jump to newest" }, icon("down"), this.count);
    this.replaceChildren(this.scroller, this.jump);
    this.jump.addEventListener("click", () => this.toBottom());
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(this.scroller);
  }

  get atBottom() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  toBottom() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#stick = true;
    this.#scrolled();
  }

  /**
   * Show a thread. `view`: {conv, messages, me, group, statusOf, nameOf, textOf, unreadAfter, loading, complete,
   * error, isUnread}.
   */
  show(view) {
    const fresh = view.conv !== this.#conv;
    if (fresh) {
      this.#conv = view.conv;
      this.#rows.clear();
      this.#seen.clear();
      this.#newBelow = 0;
      this.rows.replaceChildren();
      this.#stick = true;
    }
    const oldTop = this.scroller.scrollTop;
    const anchor = this.#anchor();
    const before = anchor?.getBoundingClientRect().top;
    const had = this.#seen.size;
    const ids = view.messages.map((one) => one.msg_id ?? one.server_id);
    const firstNew = had ? view.messages.filter((one, at) => !this.#seen.has(ids[at]) && this.#isLater(view, at)) : [];
    ids.forEach((id) => this.#seen.add(id));
    this.#paint(this.#describe(view));
    this.older.hidden = view.complete || !view.messages.length;
    const mine = firstNew.some((one) => one.from === view.me);
    if (fresh || this.#stick || mine) {
      const line = fresh ? this.rows.querySelector(".new-line") : null;
      this.scroller.scrollTop = line ? Math.max(0, line.offsetTop - 60) : this.scroller.scrollHeight;
      this.#stick = this.atBottom;
    } else {
      // What was in view stays in view, whatever was put above it.
      const after = this.#rows.get(anchor?.dataset.message)?.node.getBoundingClientRect().top;
      if (before !== undefined && after !== undefined) this.scroller.scrollTop = oldTop + after - before;
      this.#newBelow += firstNew.filter((one) => one.from !== view.me && one.kind !== "event").length;
    }
    this.#height = this.scroller.clientHeight;
    this.#scrolled();
  }

  #isLater(view, at) {
    return at > 0 && view.messages.slice(0, at).some((one) => this.#rows.has(one.msg_id ?? one.server_id));
  }

  /** The first row that is in view. */
  #anchor() {
    const top = this.scroller.getBoundingClientRect().top;
    return [...this.rows.children].find((row) => row.dataset.message && row.getBoundingClientRect().bottom > top);
  }

  #describe(view) {
    if (view.error && !view.messages.length) return [{ key: "error", signature: view.error, make: () => this.#problem(view.error) }];
    if (view.loading && !view.messages.length) {
      const skeleton = () => el("ul", { className: "bubbles-loading", "aria-label": "Loading messages" }, ...Array.from({ length: 6 }, () => el("li")));
      return [{ key: "loading", signature: "", make: skeleton }];
    }
    if (!view.messages.length) {
      const make = () => el("div", { className: "thread-state" }, el("p", { className: "hello", "aria-hidden": "true" }, "👋"), el("p", {}, "No messages yet. Say hello!"));
      return [{ key: "empty", signature: "", make }];
    }
    const rows = [];
    let lineDrawn = false;
    view.messages.forEach((message, at) => {
      const previous = view.messages[at - 1];
      const next = view.messages[at + 1];
      const newDay = !previous || !sameDay(previous.ts, message.ts);
      if (newDay) {
        const label = dayLabel(message.ts);
        const key = `day ${new Date(message.ts).toDateString()}`;
        rows.push({ key, signature: label, make: () => el("div", { className: "day" }, el("span", {}, label)) });
      }
      const line = !lineDrawn && view.isUnread(message);
      if (line) {
        lineDrawn = true;
        rows.push({ key: "new", signature: "", make: () => el("div", { className: "new-line" }, "New messages") });
      }
      const key = message.msg_id ?? message.server_id;
      const text = view.textOf(message);
      if (message.kind === "event") {
        rows.push({ key, signature: text, make: () => el("div", { className: "event", "data-message": key }, el("span", {}, text)) });
        return;
      }
      const joins = (a, b) => a && b && b.kind !== "event" && a.kind !== "event" && a.from === b.from && b.ts - a.ts < GROUP_MS && sameDay(a.ts, b.ts);
      const first = line || !joins(previous, message);
      const last = !joins(message, next);
      const out = message.from === view.me;
      const status = out ? view.statusOf(message) : null;
      const author = view.group && !out ? view.nameOf(message.from) : null;
      rows.push({
        key,
        signature: JSON.stringify([text, first, last, status, author, message.ts, message.error]),
        make: () => this.#bubble({ key, message, text, first, last, out, status, author, group: view.group }),
      });
    });
    return rows;
  }

  #bubble({ key, message, text, first, last, out, status, author, group }) {
    const body = el("span", { className: EMOJI.test(text) ? "body large" : "body", dir: "auto" }, ...linkify(text));
    const meta = el("span", { className: "meta" }, el("time", { dateTime: new Date(message.ts).toISOString() }, clock(message.ts)), status ? ticks(status) : null);
    const bubble = el("div", { className: "bubble" }, author && first ? el("span", { className: "author", "data-hue": hueOf(message.from) }, author) : null, body, meta);
    if (status === "failed") {
      const act = (name, label) => el("button", { type: "button", onclick: () => this.#emit(name, { msg_id: message.msg_id }) }, label);
      bubble.append(el("div", { className: "failure" }, el("span", {}, message.error ?? "Not sent."), act("retry", "Try again"), act("discard", "Delete")));
    }
    const face = group && !out ? (last ? avatar(message.from, author) : el("span", { className: "avatar-space" })) : null;
    const classes = ["message", out ? "out" : "in", first && "first", last && "last", status === "failed" && "failed"];
    return el("div", { className: classes.filter(Boolean).join(" "), "data-message": key }, face, bubble);
  }

  #problem(text) {
    const again = el("button", { className: "button", type: "button", onclick: () => this.#emit("reload") }, "Try again");
    return el("div", { className: "thread-state", role: "alert" }, el("p", {}, text), again);
  }

  #paint(rows) {
    const kept = new Map();
    let cursor = this.rows.firstChild;
    for (const row of rows) {
      const old = this.#rows.get(row.key);
      let node = old?.node;
      if (!old || old.signature !== row.signature) {
        node = row.make();
        if (old) {
          if (cursor === old.node) cursor = node;
          old.node.replaceWith(node);
        }
      }
      if (node === cursor) cursor = cursor.nextSibling;
      else this.rows.insertBefore(node, cursor);
      kept.set(row.key, { node, signature: row.signature });
    }
    for (const [key, row] of this.#rows) if (!kept.has(key)) row.node.remove();
    this.#rows = kept;
  }

  #scrolled() {
    const bottom = this.atBottom;
    // A growing window is not a reader who scrolled away.
    if (this.scroller.clientHeight === this.#height) this.#stick = bottom;
    if (bottom) this.#newBelow = 0;
    this.jump.hidden = bottom;
    this.count.hidden = this.#newBelow === 0;
    this.count.textContent = String(this.#newBelow);
    this.jump.setAttribute("aria-label", this.#newBelow ? `Jump to newest, ${this.#newBelow} new` : "Jump to newest");
    if (bottom) this.#emit("seen");
    if (!this.older.hidden && this.scroller.scrollTop < 300) this.#emit("older");
  }

  #resized() {
    if (this.#stick) this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#height = this.scroller.clientHeight;
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

customElements.define("message-list", MessageList);
