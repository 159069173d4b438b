/** What one may do with a message: reactions, and a menu beside the message, or, on a phone, at the foot of the screen. */
import { el, icon } from "../dom.js";
import { MORE, nameOfEmoji, QUICK } from "../emoji.js";
import { _, rtl } from "../i18n.js";

const MARGIN = 8;
const narrow = matchMedia("(width < 700px)");

export class MessageMenu extends HTMLElement {
  static label = _("Message actions");
  /** Name, words and picture of each, in their order. */
  static items = [
    ["reply", _("Reply"), "reply"],
    ["edit", _("Edit"), "pencil"],
    ["copy", _("Copy"), "copy"],
    ["forward", _("Forward"), "forward"],
    ["select", _("Select"), "check"],
    ["link", _("Copy link"), "link"],
    ["profile", _("Who wrote it"), "info"],
    ["details", _("Details"), "info"],
    ["pin", _("Pin"), "pin"],
    ["unpin", _("Unpin"), "pin"],
    ["appeal", _("Ask for it back…"), "reply"],
    ["report", _("Report…"), "flag"],
    ["unpreview", _("Remove preview"), "close"],
    ["delete", _("Delete"), "bin"],
  ];
  #message = null;
  #opener = null;
  #watcher = null;

  connectedCallback() {
    // Dismissed by hand: the finger whose long press opens an "auto" popover closes it again when it is lifted.
    this.box = el("div", { className: "message-menu", popover: "manual", role: "dialog", "aria-label": this.constructor.label });
    this.append(this.box);
    this.box.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("pointerdown", (event) => this.box.contains(event.target) || this.close(), { capture: true });
    document.addEventListener("wheel", (event) => this.box.contains(event.target) || this.close(), { capture: true, passive: true });
    window.addEventListener("resize", () => this.close());
  }

  /**
   * Open for a message, or what else has such a menu. `can`: what one may do with it; `mine`: the emoji one has put there; `at`: the element to stand
   * beside, `x`, `y`: or the point; `part`: `react` for the reactions alone.
   */
  open({ message, can, mine = [], at, x, y, part }) {
    this.close();
    this.#message = message;
    this.#opener = at.closest(".message") ?? at;
    const reacting = can.includes("react");
    const quick = reacting ? this.#quick(mine) : null;
    const items = part === "react" ? [] : this.constructor.items.filter(([name]) => can.includes(name));
    const list = items.length ? el("div", { className: "items", role: "menu" }, ...items.map((item) => this.#item(item))) : null;
    this.box.replaceChildren(...[quick, list].filter(Boolean));
    this.box.showPopover();
    // The gesture or button that goes back closes it, where the browser tells of it.
    if (globalThis.CloseWatcher) {
      this.#watcher = new CloseWatcher();
      this.#watcher.onclose = () => this.close();
    }
    this.#place(at, x, y);
    (part === "react" || !list ? quick : list).querySelector("button").focus({ preventScroll: true });
  }

  close() {
    if (!this.#message) return;
    this.#message = null;
    this.#watcher?.destroy();
    const focused = this.box.contains(document.activeElement);
    this.box.hidePopover();
    // Where nothing else has taken it, the focus goes back.
    if (focused && this.#opener?.isConnected) this.#opener.focus({ preventScroll: true });
  }

  #quick(mine) {
    const row = el("div", { className: "quick", role: "group", "aria-label": _("Reactions") }, ...QUICK.map((emoji) => this.#emoji(emoji, mine)));
    const more = el("button", { className: "emoji", type: "button", "aria-label": _("More reactions"), title: _("More reactions") }, icon("plus"));
    more.addEventListener("click", () => {
      const grid = el("div", { className: "grid", role: "group", "aria-label": _("All reactions") }, ...MORE.map(([emoji]) => this.#emoji(emoji, mine)));
      const { top, left } = this.box.getBoundingClientRect();
      this.box.replaceChildren(grid);
      this.#fit(left, top);
      grid.querySelector("button").focus({ preventScroll: true });
    });
    row.append(more);
    return row;
  }

  #emoji(emoji, mine) {
    const on = !mine.includes(emoji);
    const name = nameOfEmoji(emoji);
    return el("button", { className: "emoji", type: "button", title: name, "aria-label": name, "aria-pressed": String(!on), onclick: () => this.#tell("react", { emoji, on }) }, emoji);
  }

  #item([name, label, picture]) {
    return el("button", { className: name === "delete" ? "item danger" : "item", type: "button", role: "menuitem", tabIndex: -1, onclick: () => this.#tell(name) }, icon(picture), label);
  }

  #tell(name, detail = {}) {
    const message = this.#message;
    this.close();
    this.dispatchEvent(new CustomEvent(name, { detail: { message, ...detail } }));
  }

  #place(at, x, y) {
    const { right, left, bottom, top } = at.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.box;
    if (x !== undefined) this.#fit(x, y);
    // Below, or, where there is no room, above.
    else this.#fit(rtl || left + width > innerWidth ? right - width : left, bottom + 4 + height > innerHeight ? top - height - 4 : bottom + 4);
  }

  #fit(left, top) {
    const { style, offsetWidth, offsetHeight } = this.box;
    const within = (value, size, room) => `${Math.max(MARGIN, Math.min(value, room - size - MARGIN))}px`;
    style.left = narrow.matches ? "" : within(left, offsetWidth, innerWidth);
    style.top = narrow.matches ? "" : within(top, offsetHeight, innerHeight);
  }

  /** Arrow keys go through what is there; in the grid also up and down. */
  #key(event) {
    if (event.key === "Escape" || event.key === "Tab") {
      // Escape closes what is uppermost, and no more.
      event.stopPropagation();
      event.preventDefault();
      this.close();
      return;
    }
    const stops = [...this.box.querySelectorAll("button")];
    const here = document.activeElement;
    const at = stops.indexOf(here);
    const columns = here.closest(".grid") ? getComputedStyle(here.parentElement).gridTemplateColumns.split(" ").length : 1;
    const along = here.closest(".items") ? 0 : rtl ? -1 : 1;
    const steps = { ArrowRight: along, ArrowLeft: -along, ArrowDown: columns, ArrowUp: -columns, Home: -at, End: stops.length - 1 - at };
    if (!(event.key in steps)) return;
    event.preventDefault();
    let next = at + steps[event.key];
    // From the row of reactions down into the menu.
    if (event.key === "ArrowDown" && here.closest(".quick")) next = Math.max(stops.findIndex((one) => one.closest(".items")), at);
    stops[Math.max(0, Math.min(stops.length - 1, next))]?.focus();
  }
}

customElements.define("message-menu", MessageMenu);
