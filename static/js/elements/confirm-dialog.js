/** A question before what cannot be undone. */
import { el } from "../dom.js";
import { _ } from "../i18n.js";

export class ConfirmDialog extends HTMLElement {
  connectedCallback() {
    this.heading = el("h2", { id: "confirm-title" });
    this.text = el("p", { id: "confirm-text" });
    this.yes = el("button", { className: "button danger", type: "submit", value: "yes" });
    this.no = el("button", { className: "button quiet", type: "submit", value: "no" }, _("Cancel"));
    const form = el("form", { method: "dialog" }, this.heading, this.text, el("div", { className: "confirm-actions" }, this.no, this.yes));
    this.dialog = el("dialog", { className: "confirm", role: "alertdialog", "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" }, form);
    this.append(this.dialog);
  }

  /** Ask, and return whether the answer was `action`. Escape and "Cancel" are no. `harmless`: nothing is lost by it. */
  ask({ title, text, action, harmless = false }) {
    this.heading.textContent = title;
    this.text.textContent = text;
    this.yes.textContent = action;
    this.yes.className = harmless ? "button" : "button danger";
    this.dialog.returnValue = "";
    this.dialog.showModal();
    // The harmless answer has the focus.
    (harmless ? this.yes : this.no).focus();
    return new Promise((resolve) => {
      this.dialog.addEventListener("close", () => resolve(this.dialog.returnValue === "yes"), { once: true });
    });
  }
}

customElements.define("confirm-dialog", ConfirmDialog);
