/** A dialog to find people: for a new chat, a new group, or new members of a group. */
import * as api from "../api-more.js";
import { avatar, botMark, el, icon } from "../dom.js";
import { _, handle } from "../i18n.js";

const PAUSE_MS = 200;

const WORDS = {
  chat: { title: _("New chat"), action: null },
  group: { title: _("New group"), action: _("Create group") },
  add: { title: _("Add people"), action: _("Add") },
};

export class PeopleDialog extends HTMLElement {
  #chosen = new Map();
  #timer = null;
  #asked = 0;

  connectedCallback() {
    this.heading = el("h2", { id: "people-title" });
    this.name = el("input", { type: "text", maxLength: 120, autocomplete: "off", name: "group-name" });
    this.nameField = el("label", { className: "field" }, el("span", {}, _("Group name")), this.name);
    this.input = el("input", { type: "text", maxLength: 80, autocomplete: "off", spellcheck: false, placeholder: _("Name or username"), name: "people" });
    this.chips = el("div", { className: "chips", "aria-label": _("Chosen people") });
    this.results = el("div", { className: "people", "aria-label": _("People found"), role: "group" });
    this.hint = el("p", { className: "hint", role: "status" });
    this.problem = el("p", { className: "problem", role: "alert", hidden: true });
    this.submit = el("button", { className: "button", type: "submit" });
    this.actions = el("div", { className: "dialog-actions" }, this.submit);
    const close = el("button", { className: "icon-button", type: "button", "aria-label": _("Close"), onclick: () => this.dialog.close() }, icon("close"));
    const form = el(
      "form",
      { method: "dialog", className: "dialog-form" },
      el("div", { className: "dialog-bar" }, this.heading, close),
      el("div", { className: "dialog-body" }, this.nameField, el("label", { className: "field" }, el("span", {}, _("People")), this.input), this.chips, this.hint, this.results, this.problem),
      this.actions,
    );
    this.dialog = el("dialog", { "aria-labelledby": "people-title" }, form);
    this.append(this.dialog);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.mode === "chat") this.results.querySelector("button")?.click();
      else this.#finish([...this.#chosen.keys()]);
    });
    this.input.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#search(), PAUSE_MS);
    });
    this.input.addEventListener("keydown", (event) => {
      // In a group Enter takes the first person found, rather than creating the group half-way.
      if (event.key === "Enter" && this.mode !== "chat" && this.input.value.trim()) {
        event.preventDefault();
        this.results.querySelector("button")?.click();
      }
    });
    this.name.addEventListener("input", () => this.#refresh());
    form.addEventListener("keydown", (event) => this.#key(event));
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
  }

  /** Open for `mode`, looking for `query`; `finish({name, users})` does the work and may throw an ApiError. */
  open(mode, { finish, exclude = [], query = "" }) {
    this.mode = mode;
    this.finish = finish;
    this.exclude = new Set(exclude);
    this.#chosen.clear();
    this.heading.textContent = WORDS[mode].title;
    this.submit.textContent = WORDS[mode].action ?? "";
    this.actions.hidden = WORDS[mode].action === null;
    this.nameField.hidden = mode !== "group";
    this.name.value = "";
    this.input.value = query;
    this.problem.hidden = true;
    this.results.replaceChildren();
    this.found = [];
    this.hint.hidden = false;
    this.hint.textContent = _("Type a name to find people.");
    this.#refresh();
    this.dialog.showModal();
    (mode === "group" ? this.name : this.input).focus();
    if (query) this.#search();
  }

  /** Arrow keys go from the field into what was found and back. */
  #key(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const stops = [this.input, ...this.results.querySelectorAll("button")];
    const at = stops.indexOf(document.activeElement);
    const next = at < 0 ? null : stops[at + (event.key === "ArrowDown" ? 1 : -1)];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }

  async #search() {
    const q = this.input.value.trim();
    this.#asked += 1;
    const turn = this.#asked;
    this.problem.hidden = true;
    if (!q) {
      this.results.replaceChildren();
      this.hint.hidden = false;
      return;
    }
    try {
      const { results } = await api.users(q);
      if (turn !== this.#asked) return;
      this.found = results.filter((one) => !this.exclude.has(one.id));
      this.hint.hidden = this.found.length > 0;
      this.hint.textContent = _("Nobody found for “{text}”.", { text: q });
      this.#refresh();
    } catch (error) {
      if (turn === this.#asked) this.#fail(error);
    }
    this.#refresh();
  }

  #refresh() {
    const people = this.input.value.trim() ? (this.found ?? []) : [];
    this.results.replaceChildren(
      ...people.map((one) =>
        el(
          "button",
          { className: "person", type: "button", "aria-pressed": this.mode === "chat" ? null : String(this.#chosen.has(one.id)), onclick: () => this.#pick(one) },
          avatar(one.id, one.display_name, false, one.picture),
          el("span", { className: "person-text" }, el("span", { dir: "auto" }, one.display_name, botMark(one)), el("small", {}, handle(one.username))),
        ),
      ),
    );
    this.chips.replaceChildren(
      ...[...this.#chosen.values()].map((one) =>
        el("button", { className: "chip", type: "button", "aria-label": _("Take {name} out", { name: one.display_name }), onclick: () => this.#pick(one) }, one.display_name, icon("close")),
      ),
    );
    this.submit.disabled = !this.#chosen.size || (this.mode === "group" && !this.name.value.trim());
  }

  #pick(one) {
    if (this.mode === "chat") {
      this.#finish([one.id]);
      return;
    }
    if (this.#chosen.has(one.id)) this.#chosen.delete(one.id);
    else this.#chosen.set(one.id, one);
    this.input.value = "";
    this.hint.hidden = true;
    this.#refresh();
    this.input.focus();
  }

  async #finish(users) {
    this.problem.hidden = true;
    this.submit.disabled = true;
    try {
      await this.finish({ name: this.name.value.trim(), users });
      this.dialog.close();
    } catch (error) {
      this.#fail(error);
      this.#refresh();
    }
  }

  #fail(error) {
    this.problem.textContent = error.message;
    this.problem.hidden = false;
  }
}

customElements.define("people-dialog", PeopleDialog);
