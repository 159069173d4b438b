/** A person whom one meets in a group or finds in what is said. */
import { avatar, el, icon } from "../dom.js";
import { _, handle } from "../i18n.js";
import { fill, whenSeen } from "../profile.js";

export class ProfileDialog extends HTMLElement {
  connectedCallback() {
    this.heading = el("h2", { id: "profile-title" }, _("Profile"));
    this.head = el("div", { className: "info-head" });
    this.more = el("div", { className: "profile-more", "aria-live": "polite" });
    this.acts = el("div", { className: "button-row" });
    this.problem = el("p", { className: "problem", role: "alert", hidden: true });
    const close = el("button", { className: "icon-button", type: "button", "aria-label": _("Close"), onclick: () => this.dialog.close() }, icon("close"));
    this.dialog = el(
      "dialog",
      { "aria-labelledby": "profile-title" },
      el("div", { className: "dialog-bar" }, this.heading, close),
      el("div", { className: "dialog-body" }, this.head, this.acts, this.problem, this.more),
    );
    this.append(this.dialog);
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
  }

  /** Show `person`: {id, username, display_name, picture}. `acts`: message(), block(), blocked (its state), report(), go(conv); the first two may throw an ApiError. */
  open(person, acts) {
    this.person = person.id;
    this.problem.hidden = true;
    this.more.replaceChildren();
    this.seen = el("span", { className: "hint" }, handle(person.username));
    this.head.replaceChildren(avatar(person.id, person.display_name, false, person.picture), el("strong", { dir: "auto" }, person.display_name), this.seen);
    const button = (label, className, act) => el("button", { className: `button ${className}`, type: "button", onclick: () => this.#do(act) }, label);
    this.acts.replaceChildren(
      button(_("Write a message"), "", acts.message),
      button(acts.blocked ? _("Unblock") : _("Block"), acts.blocked ? "quiet" : "danger", acts.block),
      button(_("Report…"), "quiet", acts.report),
    );
    if (!this.dialog.open) this.dialog.showModal();
    this.acts.firstChild.focus();
    const go = (conv) => {
      this.dialog.close();
      acts.go(conv);
    };
    fill(this.more, person.id, go, () => this.person === person.id).then((found) => {
      const when = whenSeen(found?.presence);
      if (when) this.seen.textContent = `${handle(person.username)} · ${when}`;
    });
  }

  async #do(act) {
    this.problem.hidden = true;
    try {
      await act();
      this.dialog.close();
    } catch (error) {
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    }
  }
}

customElements.define("profile-dialog", ProfileDialog);
