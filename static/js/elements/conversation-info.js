/** Who is in a group, and what one may do there. */
import { avatar, el, icon } from "../dom.js";

export class GroupInfo extends HTMLElement {
  connectedCallback() {
    this.body = el("div", { className: "dialog-body" });
    this.problem = el("p", { className: "problem", role: "alert", hidden: true });
    const close = el("button", { className: "icon-button", type: "button", "aria-label": "Close", onclick: () => this.dialog.close() }, icon("close"));
    this.dialog = el("dialog", { "aria-labelledby": "info-title" }, el("div", { className: "dialog-bar" }, el("h2", { id: "info-title" }, "Group info"), close), this.body);
    this.append(this.dialog);
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
  }

  get isOpen() {
    return this.dialog.open;
  }

  /** Open for a group. `acts`: rename(name), add(), remove(user), leave(); each may throw an ApiError. */
  open(conv, me, acts) {
    this.acts = acts;
    this.problem.hidden = true;
    this.show(conv, me);
    this.dialog.showModal();
  }

  show(conv, me) {
    this.conv = conv.id;
    const manages = conv.role === "owner" || conv.role === "admin";
    const name = el("input", { type: "text", value: conv.name ?? "", maxLength: 120, required: true, autocomplete: "off" });
    const rename = el(
      "form",
      { className: "inline-form" },
      el("label", { className: "field" }, el("span", {}, "Group name"), name),
      el("button", { className: "button quiet", type: "submit" }, "Rename"),
    );
    rename.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#do(() => this.acts.rename(name.value.trim()));
    });
    const rank = { owner: 0, admin: 1, member: 2 };
    const members = [...(conv.members ?? [])].sort((a, b) => rank[a.role] - rank[b.role] || a.display_name.localeCompare(b.display_name));
    const rows = members.map((one) => {
      const removable = manages && one.id !== me && rank[one.role] > rank[conv.role];
      return el(
        "li",
        { className: "person" },
        avatar(one.id, one.display_name),
        el("span", { className: "person-text" }, el("span", {}, one.id === me ? `${one.display_name} (you)` : one.display_name), el("small", {}, `@${one.username}`)),
        one.role === "member" ? null : el("span", { className: "role" }, one.role === "owner" ? "Owner" : "Admin"),
        removable
          ? el("button", { className: "icon-button", type: "button", title: "Remove", "aria-label": `Remove ${one.display_name}`, onclick: () => this.#do(() => this.acts.remove(one.id)) }, icon("close"))
          : null,
      );
    });
    this.body.replaceChildren(
      el("div", { className: "group-head" }, avatar(conv.id, conv.name || "Group"), el("strong", {}, conv.name || "Group"), el("span", { className: "hint" }, `${conv.members_count} members`)),
      this.problem,
      ...(manages ? [rename, el("button", { className: "button quiet", type: "button", onclick: () => this.#do(() => this.acts.add()) }, "Add people")] : []),
      el("ul", { className: "people", "aria-label": "Members" }, ...rows),
      el("button", { className: "button danger", type: "button", onclick: () => this.#do(() => this.acts.leave()) }, "Leave group"),
    );
  }

  close() {
    this.dialog.close();
  }

  async #do(act) {
    this.problem.hidden = true;
    try {
      await act();
    } catch (error) {
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    }
  }
}

customElements.define("group-info", GroupInfo);
