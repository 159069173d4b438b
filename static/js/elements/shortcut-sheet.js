/** The shortcuts, as keys.js has them, and the switch for those of a single letter. */
import { el, icon } from "../dom.js";
import { _ } from "../i18n.js";

const mac = /Mac|iPhone|iPad/u.test(navigator.platform);
const NAMES = { ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", Ctrl: mac ? "⌘" : "Ctrl", Alt: mac ? "⌥" : "Alt" };

/** One of a row's keys, such as "Alt+ArrowUp". */
const shown = (keys) => el("span", {}, ...(keys.length === 1 ? [keys] : keys.split("+")).map((key) => el("kbd", {}, NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key))));

export class ShortcutSheet extends HTMLElement {
  connectedCallback() {
    this.body = el("div", { className: "dialog-body shortcuts", tabIndex: 0, role: "group", "aria-label": _("Shortcuts") });
    this.single = el("input", { type: "checkbox" });
    const close = el("button", { className: "icon-button", type: "button", "aria-label": _("Close"), onclick: () => this.dialog.close() }, icon("close"));
    const bar = el("div", { className: "dialog-bar" }, el("h2", { id: "shortcuts-title" }, _("Keyboard shortcuts")), close);
    const choice = el("label", { className: "choice shortcuts-switch" }, this.single, el("span", {}, _("Keys of one letter act on messages")));
    this.dialog = el("dialog", { className: "wide", "aria-labelledby": "shortcuts-title" }, bar, this.body, choice);
    this.append(this.dialog);
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.single.addEventListener("change", () => this.setSingle(this.single.checked));
  }

  /** `groups`: those of keys.js; `single`: whether keys of one letter act; `setSingle(on)`. */
  open({ groups, single, setSingle }) {
    this.setSingle = setSingle;
    this.single.checked = single;
    const row = ({ keys, says }) => el("div", {}, el("dt", {}, says), el("dd", {}, ...keys.map(shown)));
    this.body.replaceChildren(...groups.map(({ title, rows }) => el("section", {}, el("h3", {}, title), el("dl", {}, ...rows.map(row)))));
    this.dialog.showModal();
    this.body.focus();
  }
}

customElements.define("shortcut-sheet", ShortcutSheet);
