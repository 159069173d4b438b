/** A dialog to find messages by their words, and to go to them. */
import { avatar, el, hidden, icon } from "../dom.js";
import { listTime, moment } from "../format.js";
import { _, n } from "../i18n.js";

const PAUSE_MS = 250;

const HAS = { "": _("Anything"), link: _("Links"), file: _("Files"), image: _("Photos") };
const HELP = _("Type a word, or “several words” in quotes. Also: from:name, in:name, before:2027-01-31, after:2027-01-01, has:link.");

const option = (value, text) => el("option", { value }, text);
const field = (label, input) => el("label", { className: "field" }, el("span", {}, label), input);
/** Minutes by which the reader's days begin before those of UTC. */
const utcOffset = () => String(-new Date().getTimezoneOffset());

export class SearchDialog extends HTMLElement {
  #timer = null;
  /** The newest question; what answers an older one is too late. */
  #asked = 0;
  #next = null;
  #hits = [];
  /** What each row says: {hit, button, said}. */
  #rows = [];
  #options = null;

  connectedCallback() {
    const close = el("button", { className: "icon-button", type: "button", "aria-label": _("Close"), onclick: () => this.dialog.close() }, icon("close"));
    this.input = el("input", { type: "search", maxLength: 300, autocomplete: "off", spellcheck: false, placeholder: _("Words in messages"), name: "words", "aria-label": _("Search messages"), "aria-describedby": "search-hint" });
    this.place = el("select", { name: "place" });
    this.has = el("select", { name: "has" }, ...Object.entries(HAS).map(([value, text]) => option(value, text)));
    this.after = el("input", { type: "date", name: "after" });
    this.before = el("input", { type: "date", name: "before" });
    this.hint = el("p", { className: "hint", id: "search-hint", role: "status" });
    this.problem = el("p", { className: "problem", role: "alert", hidden: true });
    this.again = el("button", { className: "button quiet small", type: "button", hidden: true, onclick: () => this.#look() }, _("Try again"));
    this.results = el("ul", { className: "hits", "aria-label": _("Messages found") });
    this.more = el("button", { className: "button quiet", type: "button", hidden: true, onclick: () => this.#look({ more: true }) }, _("Show older ones"));
    const filters = el("div", { className: "search-filters", role: "group", "aria-label": _("Narrow it down") }, field(_("Where"), this.place), field(_("With"), this.has), field(_("From day"), this.after), field(_("Before day"), this.before));
    const form = el(
      "form",
      { method: "dialog", className: "dialog-form" },
      el("div", { className: "dialog-bar" }, el("h2", { id: "search-title" }, _("Search messages")), close),
      el("div", { className: "dialog-body" }, el("div", { className: "field" }, this.input), filters, this.hint, this.problem, this.again, this.results, this.more),
    );
    this.dialog = el("dialog", { className: "search-dialog", "aria-labelledby": "search-title" }, form);
    this.append(this.dialog);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      // Enter takes the newest that was found.
      if (document.activeElement === this.input) this.results.querySelector("button")?.click();
    });
    form.addEventListener("keydown", (event) => this.#key(event));
    form.addEventListener("input", () => this.#soon());
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("close", () => {
      clearTimeout(this.#timer);
      this.#clear();
    });
  }

  /**
   * Open it. `here`: {id, name} of the conversation to search in first, or null; `look(values)` asks the server and may throw an ApiError;
   * `describe(hit)` says {face, picture, title, author, files} of a result; `pick(hit)` goes there.
   */
  open({ text, here, ...options }) {
    this.#options = options;
    this.place.replaceChildren(option("", _("Everywhere")), ...(here ? [option(here.id, here.name)] : []));
    this.place.value = here?.id ?? "";
    this.input.value = text;
    this.has.value = this.after.value = this.before.value = "";
    this.#clear();
    this.dialog.showModal();
    this.input.focus();
    if (text) this.#look();
  }

  get #values() {
    return { q: this.input.value.trim(), in: this.place.value, has: this.has.value, after: this.after.value, before: this.before.value };
  }

  #clear() {
    this.#asked += 1;
    this.#hits = [];
    this.#next = null;
    this.hint.textContent = HELP;
    this.problem.hidden = this.again.hidden = true;
    this.#paint();
  }

  #soon() {
    clearTimeout(this.#timer);
    const { q, has } = this.#values;
    if (!q && !has) this.#clear();
    else this.#timer = setTimeout(() => this.#look(), PAUSE_MS);
  }

  async #look({ more = false } = {}) {
    this.#asked += 1;
    const turn = this.#asked;
    this.problem.hidden = this.again.hidden = true;
    this.results.setAttribute("aria-busy", "true");
    if (!this.#hits.length) this.hint.textContent = _("Searching…");
    try {
      const page = await this.#options.look({ ...this.#values, utc_offset: utcOffset(), cursor: more ? this.#next : null });
      if (turn !== this.#asked) return;
      const had = more ? this.#hits.length : 0;
      this.#hits = more ? [...this.#hits, ...page.results] : page.results;
      this.#next = page.next;
      this.hint.textContent = this.#said();
      this.#paint();
      if (more) this.results.querySelectorAll("button")[had]?.focus();
    } catch (error) {
      if (turn !== this.#asked) return;
      if (!more) this.#hits = [];
      this.hint.textContent = "";
      this.problem.textContent = error.message;
      this.problem.hidden = false;
      // What the server does not understand, it does not understand a second time.
      this.again.hidden = error.status === 400;
      this.#paint();
    }
  }

  #said() {
    const count = this.#hits.length;
    if (!count) return _("Nothing found. Only what you can read yourself is searched, and no encrypted conversation.");
    return this.#next ? n("{count} message, and there are older ones", "{count} messages, and there are older ones", count) : n("{count} message", "{count} messages", count);
  }

  #paint() {
    this.results.removeAttribute("aria-busy");
    this.#rows = this.#hits.map((hit) => ({ hit, button: el("button", { className: "hit", type: "button", onclick: () => this.#pick(hit) }), said: "" }));
    this.refresh();
    this.results.replaceChildren(...this.#rows.map(({ button }) => el("li", {}, button)));
    this.more.hidden = this.#next === null || !this.#hits.length;
  }

  /** Say what is known by now of the conversations, people and files of the rows. */
  refresh() {
    for (const row of this.#rows) {
      const about = this.#options.describe(row.hit);
      const said = JSON.stringify(about);
      if (row.said !== said) this.#fill(row.button, row.hit, about);
      row.said = said;
    }
  }

  #fill(button, hit, { face, picture, title, author, files }) {
    const text = hit.snippet.map((one) => (one.match ? el("mark", {}, one.text) : one.text));
    button.replaceChildren(
      avatar(face, title, false, picture),
      el("span", { className: "hit-title" }, el("bdi", {}, title), author ? el("span", { className: "hit-author" }, hidden(_("by ")), el("bdi", {}, author)) : null),
      el("time", { className: "hit-time", title: moment(hit.ts) }, listTime(hit.ts)),
      el("span", { className: "hit-text", dir: "auto" }, ...(text.length ? text : [files ?? ""])),
    );
  }

  #pick(hit) {
    this.dialog.close();
    this.#options.pick(hit);
  }

  /** Arrow keys go from the field into what was found and back. */
  #key(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const stops = [this.input, ...this.results.querySelectorAll("button"), ...(this.more.hidden ? [] : [this.more])];
    const at = stops.indexOf(document.activeElement);
    const next = at < 0 ? null : stops[at + (event.key === "ArrowDown" ? 1 : -1)];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}

customElements.define("search-dialog", SearchDialog);
