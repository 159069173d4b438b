/** Who has read a message of one's own, and whom it has reached. */
import { avatar, el, icon } from "../dom.js";
import { _, handle } from "../i18n.js";

class MessageDetails extends HTMLElement {
  connectedCallback() {
    const close = el("button", { className: "icon-button", type: "button", "aria-label": _("Close"), onclick: () => this.dialog.close() }, icon("close"));
    this.body = el("div", { className: "dialog-body" });
    this.dialog = el("dialog", { "aria-labelledby": "details-title" }, el("div", { className: "dialog-bar" }, el("h2", { id: "details-title" }, _("Message details")), close), this.body);
    this.append(this.dialog);
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
  }

  /** Open. `shown`: {sent, text, read, delivered, waiting}: the last three are people: {id, username, display_name, picture}. */
  open({ sent, text, read, delivered, waiting }) {
    const person = (one) => el("li", { className: "person" }, avatar(one.id, one.display_name, false, one.picture), el("span", { className: "person-text" }, el("span", { dir: "auto" }, one.display_name), el("small", {}, handle(one.username))));
    const group = (label, people) => (people.length ? el("section", { className: "details", "aria-label": label }, el("h3", {}, `${label} (${people.length})`), el("ul", { className: "people" }, ...people.map(person))) : "");
    this.body.replaceChildren(el("p", { className: "forward-text", dir: "auto" }, text), el("p", { className: "hint" }, _("Sent {time}", { time: sent })), group(_("Read by"), read), group(_("Delivered to"), delivered), group(_("Not delivered yet"), waiting));
    this.dialog.showModal();
  }
}

customElements.define("message-details", MessageDetails);
