/**
 * The people one can mention, above the field in which an `@` was typed. The focus stays in the field: arrows choose, Enter
 * or Tab takes, Escape closes. For screen readers the field has the list for as long as it is there (a field of several lines may not call itself a combobox).
 */
import { avatar, el, icon } from "../dom.js";
import { _, handle } from "../i18n.js";
import { ALL, begun, suggested } from "../mentions.js";

/** After a letter, before the server is asked: most people go on typing. */
const LOOK_MS = 150;

let lists = 0;

export class MentionList extends HTMLElement {
  #field = null;
  #options = [];
  #at = 0;
  /** The start of the `@` for which Escape closed the list. */
  #closedAt = null;
  #looking = null;

  /**
   * Serve a field, also where an `@` is in it already. It is asked before the field's own keys. `people()` returns who can be
   * mentioned: {id, username, name, picture}; `lookFor(text)` looks for more by what was typed, and resolves to whether
   * `people` has some now that it had not.
   */
  serve(field, { people, lookFor }) {
    this.#field = field;
    this.people = people;
    this.lookFor = lookFor;
    lists += 1;
    this.list = el("ul", { id: `mentions-${lists}`, role: "listbox", "aria-label": _("People to mention") });
    this.hidden = true;
    this.replaceChildren(this.list);
    field.addEventListener("keydown", (event) => this.#key(event), { capture: true });
    field.addEventListener("input", () => this.#look());
    field.addEventListener("click", () => this.#look());
    field.addEventListener("keyup", (event) => ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key) && this.#look());
    field.addEventListener("blur", () => this.close());
    // The field keeps the focus, and with it the phone's keyboard.
    this.addEventListener("pointerdown", (event) => event.preventDefault());
    if (document.activeElement === field) this.#look();
  }

  close() {
    if (this.hidden) return;
    this.hidden = true;
    this.#options = [];
    this.list.replaceChildren();
    for (const name of ["aria-controls", "aria-autocomplete", "aria-activedescendant"]) this.#field.removeAttribute(name);
  }

  #look() {
    const { value, selectionStart, selectionEnd } = this.#field;
    const word = selectionStart === selectionEnd ? begun(value, selectionStart) : null;
    if (word?.start !== this.#closedAt) this.#closedAt = null;
    clearTimeout(this.#looking);
    if (word?.query) this.#looking = setTimeout(() => this.#lookFurther(word.query), LOOK_MS);
    const options = word && this.#closedAt === null ? suggested(this.people(), word.query) : [];
    if (!options.length) return this.close();
    this.#options = options;
    this.list.replaceChildren(...options.map((one, at) => this.#option(one, at)));
    this.hidden = false;
    const { id } = this.list;
    for (const [name, is] of Object.entries({ "aria-controls": id, "aria-autocomplete": "list" })) this.#field.setAttribute(name, is);
    return this.#choose(0);
  }

  async #lookFurther(query) {
    if ((await this.lookFor(query)) && document.activeElement === this.#field) this.#look();
  }

  #option(one, at) {
    const face = one.id === ALL ? el("span", { className: "avatar everybody", "aria-hidden": "true" }, icon("group")) : avatar(one.id, one.name, false, one.picture);
    return el(
      "li",
      { id: `${this.list.id}-${at}`, role: "option", "aria-selected": "false", onclick: () => this.#take(at), onpointermove: () => this.#at !== at && this.#choose(at) },
      face,
      el("span", { className: "who" }, el("bdi", {}, one.name), el("span", { className: "handle" }, handle(one.username))),
    );
  }

  #choose(at) {
    this.#at = at;
    [...this.list.children].forEach((option, index) => option.setAttribute("aria-selected", String(index === at)));
    this.list.children[at].scrollIntoView({ block: "nearest" });
    this.#field.setAttribute("aria-activedescendant", this.list.children[at].id);
  }

  #take(at) {
    const { value, selectionStart } = this.#field;
    const { start } = begun(value, selectionStart);
    const name = `@${this.#options[at].username} `;
    const rest = value.slice(selectionStart).replace(/^ /u, "");
    this.close();
    this.#field.value = value.slice(0, start) + name + rest;
    this.#field.setSelectionRange(start + name.length, start + name.length);
    this.#field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #key(event) {
    if (this.hidden || event.isComposing) return;
    const last = this.#options.length - 1;
    const to = { ArrowDown: this.#at === last ? 0 : this.#at + 1, ArrowUp: this.#at === 0 ? last : this.#at - 1 }[event.key];
    if (to !== undefined) this.#choose(to);
    else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey) this.#take(this.#at);
    else if (event.key === "Escape") {
      this.#closedAt = begun(this.#field.value, this.#field.selectionStart)?.start ?? null;
      this.close();
    } else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}

customElements.define("mention-list", MentionList);
