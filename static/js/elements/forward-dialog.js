/** Where a message is forwarded to. */
import { avatar, el, icon } from "../dom.js";
import { _ } from "../i18n.js";

export class ForwardDialog extends HTMLElement {
  #targets = [];
  #resolve = () => {};

  connectedCallback() {
    const close = el("button", { className: "icon-button", type: "button", "aria-label": _("Close"), onclick: () => this.dialog.close() }, icon("close"));
    this.input = el("input", { type: "search", maxLength: 80, autocomplete: "off", spellcheck: false, placeholder: _("Name"), name: "forward-to" });
    this.quote = el("p", { className: "forward-text", dir: "auto" });
    this.hint = el("p", { className: "hint", role: "status" }, _("No conversation has this name."));
    this.results = el("div", { className: "people", role: "group", "aria-label": _("Conversations") });
    const form = el(
      "form",
      { method: "dialog", className: "dialog-form" },
      el("div", { className: "dialog-bar" }, el("h2", { id: "forward-title" }, _("Forward to")), close),
      el("div", { className: "dialog-body" }, this.quote, el("label", { className: "field" }, el("span", {}, _("Conversation")), this.input), this.hint, this.results),
    );
    this.dialog = el("dialog", { "aria-labelledby": "forward-title" }, form);
    this.append(this.dialog);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.results.querySelector("button")?.click();
    });
    form.addEventListener("keydown", (event) => this.#key(event));
    this.input.addEventListener("input", () => this.#paint());
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("close", () => this.#resolve(null));
  }

  /** Ask where to; `targets`: {id, face, picture, name, hint} each. Return the id of the one that was chosen, or null. */
  ask({ text, targets }) {
    this.#targets = targets;
    this.quote.textContent = text;
    this.input.value = "";
    this.#paint();
    this.dialog.showModal();
    this.input.focus();
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  #paint() {
    const wanted = this.input.value.trim().toLocaleLowerCase();
    const found = this.#targets.filter((one) => one.name.toLocaleLowerCase().includes(wanted));
    this.hint.hidden = found.length > 0;
    this.results.replaceChildren(
      ...found.map((one) =>
        el(
          "button",
          { className: "person", type: "button", onclick: () => this.#choose(one.id) },
          avatar(one.face, one.name, false, one.picture),
          el("span", { className: "person-text" }, el("span", { dir: "auto" }, one.name), el("small", {}, one.hint)),
        ),
      ),
    );
  }

  #choose(id) {
    this.#resolve(id);
    this.dialog.close();
  }

  #key(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const stops = [this.input, ...this.results.querySelectorAll("button")];
    const next = stops[stops.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}

customElements.define("forward-dialog", ForwardDialog);
