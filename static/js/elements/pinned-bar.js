/** What is pinned in the open conversation: the newest above the messages, all of them in a dialog. */
import { el, icon } from "../dom.js";
import { moment } from "../format.js";
import { _ } from "../i18n.js";

/** By the reader, where it names nobody. */
const pinnedBy = (one) => (one.by ? _("Pinned by {name}", { name: one.by }) : _("Pinned by you"));

export class PinnedBar extends HTMLElement {
  #pins = [];
  #signature = "";

  connectedCallback() {
    this.what = el("strong", {});
    this.text = el("span", { dir: "auto" });
    this.go = el("button", { className: "pinned-go", type: "button", onclick: () => this.#find(this.#pins[0].server_id) }, this.what, this.text);
    this.all = el("button", { className: "icon-button", type: "button", title: _("All pinned messages"), "aria-label": _("All pinned messages"), onclick: () => this.open() }, icon("list"));
    this.down = el("button", { className: "icon-button", type: "button", title: _("Unpin"), "aria-label": _("Unpin this message"), onclick: () => this.#unpin(this.#pins[0].server_id) }, icon("close"));
    this.list = el("ul", { className: "dialog-body pins", "aria-label": _("Pinned messages") });
    const close = el("button", { className: "icon-button", type: "button", "aria-label": _("Close"), onclick: () => this.dialog.close() }, icon("close"));
    this.dialog = el("dialog", { "aria-labelledby": "pins-title" }, el("div", { className: "dialog-bar" }, el("h2", { id: "pins-title" }, _("Pinned messages")), close), this.list);
    this.replaceChildren(el("div", { className: "pinned" }, icon("pin"), this.go, this.all, this.down), this.dialog);
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
  }

  /** Show `pins`, the newest first: {server_id, author, text, ts, by} each; `able`: whether the reader may take them down. */
  show(pins, able) {
    const signature = JSON.stringify([pins, able]);
    if (signature === this.#signature) return;
    this.#signature = signature;
    this.#pins = pins;
    this.hidden = !pins.length;
    if (!pins.length) {
      this.dialog.close();
      return;
    }
    this.what.textContent = pins.length > 1 ? _("Pinned message, 1 of {count}", { count: pins.length }) : _("Pinned message");
    this.text.textContent = `${pins[0].author}: ${pins[0].text}`;
    this.go.title = pinnedBy(pins[0]);
    this.all.hidden = pins.length === 1;
    this.down.hidden = !able || pins.length > 1;
    this.list.replaceChildren(...pins.map((one) => this.#row(one, able)));
  }

  open() {
    this.dialog.showModal();
    this.list.querySelector("button")?.focus();
  }

  #row(one, able) {
    const go = el(
      "button",
      { className: "person", type: "button", onclick: () => this.#find(one.server_id) },
      el("span", { className: "person-text" }, el("span", { dir: "auto" }, el("strong", {}, one.author), ` ${one.text}`), el("small", {}, `${pinnedBy(one)} · ${moment(one.ts)}`)),
    );
    const down = able ? el("button", { className: "icon-button", type: "button", title: _("Unpin"), "aria-label": _("Unpin “{text}”", { text: one.text.slice(0, 60) }), onclick: () => this.#unpin(one.server_id) }, icon("close")) : null;
    return el("li", { className: "pin-row" }, go, down);
  }

  #find(server_id) {
    this.dialog.close();
    this.dispatchEvent(new CustomEvent("find", { detail: { server_id } }));
  }

  #unpin(server_id) {
    this.dispatchEvent(new CustomEvent("unpin", { detail: { server_id } }));
  }
}

customElements.define("pinned-bar", PinnedBar);
