/** A moment to choose, and, where there is one, the text that is to be sent then. */
import { el } from "../dom.js";
import { _ } from "../i18n.js";
import { fieldValue, fromField } from "../when.js";

class TimeDialog extends HTMLElement {
  #resolve = () => {};

  connectedCallback() {
    this.heading = el("h2", { id: "time-title" });
    this.text = el("textarea", { rows: 4, dir: "auto", name: "later-text" });
    this.textField = el("label", { className: "field" }, el("span", {}, _("Text")), this.text);
    this.input = el("input", { type: "datetime-local", required: true, name: "later-time" });
    this.action = el("button", { className: "button", type: "submit" });
    const cancel = el("button", { className: "button quiet", type: "button", onclick: () => this.dialog.close() }, _("Cancel"));
    const form = el("form", {}, this.heading, this.textField, el("label", { className: "field" }, el("span", {}, _("Time")), this.input), el("div", { className: "confirm-actions" }, cancel, this.action));
    this.dialog = el("dialog", { className: "confirm", "aria-labelledby": "time-title" }, form);
    this.append(this.dialog);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#resolve({ at: fromField(this.input.value), text: this.text.value.trim() });
      this.dialog.close();
    });
    this.dialog.addEventListener("close", () => this.#resolve(null));
  }

  /** Ask for a time within `days`, beginning with the Date `at`; without `text` only that. `empty`: the text may be. Return {at, text}, or null. */
  ask({ title, action, at, days, text = null, empty = false }) {
    this.heading.textContent = title;
    this.action.textContent = action;
    this.textField.hidden = text === null;
    this.text.value = text ?? "";
    this.text.required = text !== null && !empty;
    this.input.min = fieldValue(new Date());
    this.input.max = fieldValue(new Date(Date.now() + days * 86_400_000));
    this.input.value = fieldValue(at);
    this.dialog.showModal();
    (text === null ? this.input : this.text).focus();
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }
}

customElements.define("time-dialog", TimeDialog);
