/** What is to be sent later in a conversation: each to edit, to send at once, or to delete. Tells `edit`, `now` and `remove`. */
import { el, icon } from "../dom.js";
import { moment } from "../format.js";
import { _ } from "../i18n.js";

class ScheduledDialog extends HTMLElement {
  connectedCallback() {
    const close = el("button", { className: "icon-button", type: "button", "aria-label": _("Close"), onclick: () => this.dialog.close() }, icon("close"));
    this.list = el("ul", { className: "dialog-body scheduled", "aria-label": _("Scheduled messages") });
    this.dialog = el("dialog", { "aria-labelledby": "scheduled-title" }, el("div", { className: "dialog-bar" }, el("h2", { id: "scheduled-title" }, _("Scheduled messages")), close), this.list);
    this.append(this.dialog);
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
  }

  get open() {
    return this.dialog.open;
  }

  /** Show these, {id, send_at, state, text, detail} each; without any it closes. */
  show(rows, { open = false } = {}) {
    const focused = this.list.contains(document.activeElement);
    this.list.replaceChildren(...rows.map((one) => this.#row(one)));
    if (!rows.length) this.dialog.close();
    else if (open && !this.open) this.dialog.showModal();
    if (rows.length && (open || focused)) this.list.querySelector("button:enabled")?.focus();
  }

  #row(one) {
    const sending = one.state === "sending";
    const act = (name, label, picture) =>
      el("button", { className: "icon-button", type: "button", disabled: sending, title: label, "aria-label": _("{action}: {text}", { action: label, text: one.text.slice(0, 60) }), onclick: () => this.dispatchEvent(new CustomEvent(name, { detail: one.id })) }, icon(picture));
    const why = one.state === "failed" ? el("small", { className: "problem" }, icon("alert"), _("Not sent."), " ", one.detail) : null;
    const when = el("small", {}, sending ? _("Being sent…") : moment(Date.parse(one.send_at)));
    return el(
      "li",
      { className: "scheduled-row" },
      el("span", { className: "scheduled-text" }, el("span", { dir: "auto" }, one.text), when, why),
      el("span", { className: "scheduled-acts" }, act("edit", _("Edit"), "pencil"), act("now", _("Send now"), "send"), act("remove", _("Delete"), "bin")),
    );
  }
}

customElements.define("scheduled-dialog", ScheduledDialog);
