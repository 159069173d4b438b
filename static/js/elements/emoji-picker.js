/** Emoji to put into a text: by category, or found by their names. */
import { el } from "../dom.js";
import { CATEGORIES, found } from "../emoji-data.js";
import { _, rtl } from "../i18n.js";

const MARGIN = 8;

class EmojiPicker extends HTMLElement {
  #choose = () => {};
  #opener = null;

  connectedCallback() {
    this.search = el("input", { type: "search", placeholder: _("Search emoji"), "aria-label": _("Search emoji"), maxLength: 40, autocomplete: "off", spellcheck: false });
    this.grid = el("div", { className: "emoji-groups" });
    this.box = el("div", { className: "emoji-picker", popover: "auto", role: "dialog", "aria-label": _("Emoji") }, el("div", { className: "field" }, this.search), this.grid);
    this.append(this.box);
    this.search.addEventListener("input", () => this.#paint());
    this.box.addEventListener("keydown", (event) => this.#key(event));
    this.box.addEventListener("toggle", (event) => event.newState === "closed" && this.#opener?.setAttribute("aria-expanded", "false"));
  }

  /** Open above `opener`; each that is chosen is given to `choose`. Opened it stays, so that one can choose several. */
  open(opener, choose) {
    this.#choose = choose;
    this.#opener = opener;
    this.search.value = "";
    this.#paint();
    this.box.showPopover();
    opener.setAttribute("aria-expanded", "true");
    const { left, right, top } = opener.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.box;
    this.box.style.left = `${Math.max(MARGIN, Math.min(rtl ? right - width : left, innerWidth - width - MARGIN))}px`;
    this.box.style.top = `${Math.max(MARGIN, top - height - MARGIN)}px`;
    this.search.focus();
  }

  #paint() {
    const typed = this.search.value.trim();
    const groups = typed ? [{ category: _("Found"), emoji: found(typed) }] : CATEGORIES;
    const button = ({ emoji, name }) => el("button", { className: "emoji", type: "button", tabIndex: -1, title: name, "aria-label": name, onclick: () => this.#choose(emoji) }, emoji);
    const group = ({ category, emoji }) => el("section", { "aria-label": category }, el("h2", {}, category), emoji.length ? el("div", { className: "emoji-grid" }, ...emoji.map(button)) : el("p", { className: "hint", role: "status" }, _("Nothing found.")));
    this.grid.replaceChildren(...groups.map(group));
    this.grid.querySelector("button")?.setAttribute("tabindex", "0");
    this.grid.scrollTop = 0;
  }

  /** Arrow keys go through the grid, and from the search into it and back; Enter in the search takes the first. */
  #key(event) {
    if (event.key === "Escape") {
      event.stopPropagation();
      event.preventDefault();
      this.box.hidePopover();
      this.#opener?.focus();
      return;
    }
    const stops = [...this.grid.querySelectorAll("button")];
    const at = stops.indexOf(document.activeElement);
    if (at < 0) {
      if (event.key === "ArrowDown" || event.key === "Enter") {
        event.preventDefault();
        if (event.key === "Enter") stops[0]?.click();
        else stops[0]?.focus();
      }
      return;
    }
    const columns = getComputedStyle(stops[at].parentElement).gridTemplateColumns.split(" ").length;
    const forth = rtl ? -1 : 1;
    const step = { ArrowRight: forth, ArrowLeft: -forth, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (!step) return;
    event.preventDefault();
    if (at + step < 0) this.search.focus();
    else stops[Math.min(stops.length - 1, at + step)].focus();
  }
}

customElements.define("emoji-picker", EmojiPicker);
