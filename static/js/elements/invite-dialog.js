/** Links into a group: made with an end, a number of uses and whether people have to be let in; copied and revoked. */
import { el, icon } from "../dom.js";
import { moment, span } from "../format.js";
import { _, n } from "../i18n.js";

const EXPIRIES = [3_600, 86_400, 7 * 86_400, 30 * 86_400, 0];
const USES = [0, 1, 5, 25, 100];
const COPIED_MS = 2_000;

const select = (label, name, options) => el("label", { className: "field" }, el("span", {}, label), el("select", { name }, ...options.map(([value, words]) => el("option", { value: String(value) }, words))));

class InviteDialog extends HTMLElement {
  #acts = null;
  #invites = [];

  connectedCallback() {
    const close = el("button", { className: "icon-button", type: "button", "aria-label": _("Close"), onclick: () => this.dialog.close() }, icon("close"));
    this.problem = el("p", { className: "problem", role: "alert", hidden: true });
    this.list = el("ul", { className: "invites", "aria-label": _("Invitations in force") });
    this.approval = el("input", { type: "checkbox", name: "approval" });
    this.form = el(
      "form",
      { className: "invite-form" },
      select(_("Expires"), "expires", EXPIRIES.map((seconds) => [seconds, seconds ? _("After {time}", { time: span(seconds) }) : _("Never")])),
      select(_("For"), "uses", USES.map((count) => [count, count ? n("{count} person", "{count} people", count) : _("Any number of people")])),
      el("label", { className: "choice" }, this.approval, _("An admin lets people in")),
      el("button", { className: "button", type: "submit" }, _("Create link")),
    );
    this.form.elements.expires.value = String(7 * 86_400);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const { expires, uses } = this.form.elements;
      this.#do(() => this.#acts.create({ expires_in_s: Number(expires.value) || null, max_uses: Number(uses.value) || null, approval: this.approval.checked }));
    });
    this.dialog = el("dialog", { "aria-labelledby": "invite-title" }, el("div", { className: "dialog-bar" }, el("h2", { id: "invite-title" }, _("Invite by link")), close), el("div", { className: "dialog-body" }, this.form, this.problem, this.list));
    this.append(this.dialog);
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
  }

  /** Open. `acts`: list(), create({expires_in_s, max_uses, approval}), revoke(token); each may throw an ApiError. */
  open(acts) {
    this.#acts = acts;
    this.#invites = [];
    this.problem.hidden = true;
    this.#paint();
    this.dialog.showModal();
    this.#do(() => {});
  }

  /** Do something, and show the list as it is then. */
  async #do(act) {
    this.problem.hidden = true;
    try {
      await act();
      this.#invites = (await this.#acts.list()).results;
      this.#paint();
    } catch (error) {
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    }
  }

  #paint() {
    this.list.replaceChildren(...this.#invites.map((one) => this.#row(one)));
  }

  #row(one) {
    const address = el("input", { type: "text", readOnly: true, value: `${location.origin}${one.path}`, "aria-label": _("Link"), dir: "ltr" });
    const copy = el("button", { className: "button quiet", type: "button" }, _("Copy"));
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(address.value);
        copy.textContent = _("Copied");
        setTimeout(() => (copy.textContent = _("Copy")), COPIED_MS);
      } catch {
        // Where pages may not copy, the reader does.
        address.select();
      }
    });
    const told = [
      one.max_uses ? n("{uses} of {count} use", "{uses} of {count} uses", one.max_uses, { uses: one.uses }) : n("{count} use", "{count} uses", one.uses),
      one.expires_at ? _("until {time}", { time: moment(Date.parse(one.expires_at)) }) : _("no end"),
      one.approval ? _("an admin lets people in") : null,
    ];
    const revoke = el("button", { className: "button danger small", type: "button", onclick: () => this.#do(() => this.#acts.revoke(one.token)) }, _("Revoke"));
    return el("li", {}, el("div", { className: "inline-form field" }, address, copy), el("div", { className: "invite-told" }, el("small", {}, told.filter(Boolean).join(" · ")), revoke));
  }
}

customElements.define("invite-dialog", InviteDialog);
