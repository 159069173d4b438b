/** A day to go to. */
import { el } from "../dom.js";
import { _ } from "../i18n.js";

class DateDialog extends HTMLElement {
  #resolve = () => {};

  connectedCallback() {
    this.input = el("input", { type: "date", required: true, name: "day" });
    const cancel = el("button", { className: "button quiet", type: "button", onclick: () => this.dialog.close() }, _("Cancel"));
    const form = el("form", {}, el("h2", { id: "date-title" }, _("Go to a day")), el("label", { className: "field" }, el("span", {}, _("Day")), this.input), el("div", { className: "confirm-actions" }, cancel, el("button", { className: "button", type: "submit" }, _("Go"))));
    this.dialog = el("dialog", { className: "confirm", "aria-labelledby": "date-title" }, form);
    this.append(this.dialog);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#resolve(this.input.value);
      this.dialog.close();
    });
    this.dialog.addEventListener("close", () => this.#resolve(null));
  }

  /** Ask for a day until today; `from`: Unix ms of the one to begin with. Return `YYYY-MM-DD`, or null. */
  ask(from) {
    const day = (ts) => new Date(ts - new Date(ts).getTimezoneOffset() * 60_000).toISOString().slice(0, 10);
    this.input.max = day(Date.now());
    this.input.value = day(from);
    this.dialog.showModal();
    this.input.focus();
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }
}

customElements.define("date-dialog", DateDialog);
