/** What a conversation is and who is in it, and what one may do there. */
import { avatar, botMark, el, icon } from "../dom.js";
import { moment, span } from "../format.js";
import { _, handle, n } from "../i18n.js";
import { fill } from "../profile.js";

const RANK = { owner: 0, admin: 1, member: 2 };
/** After how many seconds messages may disappear; 0: never. */
const TIMERS = [0, 86_400, 7 * 86_400, 30 * 86_400, 90 * 86_400, 365 * 86_400];
/** For how many seconds one may mute; the first asks which. */
const MUTES = [0, 3_600, 8 * 3_600, 86_400, 7 * 86_400];
const manages = (conv) => RANK[conv.role] < RANK.member;
const ROLE = { owner: _("Owner"), admin: _("Admin") };

const button = (key, label, onclick, more = {}) => el("button", { className: "button quiet", type: "button", "data-key": key, onclick, ...more }, label);

export class ConversationInfo extends HTMLElement {
  #acts = null;
  #shown = "";
  /** Pages of the members of a large group; a small one brings its members along. */
  #paged = [];
  #began = false;
  #cursor = null;

  connectedCallback() {
    this.heading = el("h2", { id: "info-title" });
    this.body = el("div", { className: "dialog-body" });
    this.problem = el("p", { className: "problem", role: "alert", hidden: true });
    this.profile = el("div", { className: "profile-more", "aria-live": "polite" });
    this.closer = el("button", { className: "icon-button", type: "button", "aria-label": _("Close"), onclick: () => this.close() }, icon("close"));
    this.dialog = el("dialog", { "aria-labelledby": "info-title" }, el("div", { className: "dialog-bar" }, this.heading, this.closer), this.body);
    this.append(this.dialog);
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.close());
  }

  /**
   * Open for a conversation. `acts`: mute(seconds), block(on), setTimer(seconds), rename(name), setPicture(file), removePicture(), add(), remove(member), setRole(user, role),
   * transfer(member), leave(), report(), invite(), profile(user), go(conversation), decide(user, accept), members(cursor); each may throw an ApiError.
   */
  open(shown, acts) {
    this.#acts = acts;
    this.#shown = "";
    this.#paged = [];
    this.#cursor = null;
    this.#began = false;
    this.problem.hidden = true;
    this.heading.textContent = shown.conv.type === "group" ? _("Group info") : _("Contact info");
    this.profile.replaceChildren();
    this.show(shown);
    this.dialog.showModal();
    if (shown.conv.peer) fill(this.profile, shown.conv.peer.id, acts.go, () => this.openFor === shown.conv.id);
  }

  get openFor() {
    return this.dialog.open ? this.conv : null;
  }

  /** `shown`: {conv, me, face, picture, title, subtitle, muted, blocked, asking}: `asking` are those who want to be let in. */
  show(shown) {
    const signature = JSON.stringify(shown);
    if (signature === this.#shown) return;
    this.#shown = signature;
    this.last = shown;
    this.conv = shown.conv.id;
    this.#paint();
    // Also of one that became large while it was open.
    if (shown.conv.type === "group" && !shown.conv.members && !this.#began) {
      this.#began = true;
      this.#do(() => this.#more());
    }
  }

  close() {
    this.dialog.close();
  }

  #paint() {
    const { conv, face, picture, title, subtitle, muted, blocked } = this.last;
    const head = el("div", { className: "info-head" }, avatar(face, title, false, picture), el("strong", { dir: "auto" }, title), el("span", { className: "hint" }, subtitle), manages(conv) && conv.type === "group" ? this.#picture(conv) : null);
    const mute = el("div", { className: "inline-form" }, button("mute", muted ? _("Unmute") : _("Mute"), () => this.#do(() => this.#acts.mute(muted ? 0 : Infinity)), { "aria-pressed": String(muted) }), this.#muteFor(conv, muted));
    const rows = conv.type === "group" ? this.#group(conv) : [];
    if (conv.peer) rows.push(button("block", blocked ? _("Unblock {name}", { name: title }) : _("Block {name}", { name: title }), () => this.#do(() => this.#acts.block(!blocked)), { className: blocked ? "button quiet" : "button danger" }));
    if (conv.type === "group" || conv.peer) rows.push(button("report", _("Report…"), () => this.#acts.report()));
    const focused = this.body.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const typed = this.body.querySelector('[data-key="name"]')?.value;
    this.body.replaceChildren(head, this.problem, this.profile, mute, this.#timer(conv), ...rows);
    // Painting anew must neither take the focus away nor what is being typed.
    if (focused) (this.body.querySelector(`[data-key="${CSS.escape(focused)}"]`) ?? this.closer).focus();
    if (focused === "name") this.body.querySelector('[data-key="name"]').value = typed;
  }

  /** A group's picture, to be changed by who may. */
  #picture(conv) {
    const input = el("input", { type: "file", accept: "image/*", hidden: true });
    const change = button("picture", conv.picture ? _("Change picture") : _("Add picture"), () => input.click(), { className: "button quiet small" });
    input.addEventListener("change", () => {
      const [file] = input.files;
      if (!file) return;
      change.disabled = true;
      change.textContent = _("Uploading…");
      this.#do(() => this.#acts.setPicture(file)).then(() => this.#paint());
    });
    const remove = conv.picture ? button("no-picture", _("Remove picture"), () => this.#do(() => this.#acts.removePicture()), { className: "button danger small" }) : null;
    return el("div", { className: "button-row" }, input, change, remove);
  }

  /** For how long it keeps quiet: to be chosen, or told. */
  #muteFor(conv, muted) {
    if (muted) return el("span", { className: "hint" }, conv.muted_until < "9" ? _("Until {time}", { time: moment(Date.parse(conv.muted_until)) }) : _("Until you unmute it"));
    const options = MUTES.map((seconds) => el("option", { value: String(seconds) }, seconds ? _("For {span}", { span: span(seconds) }) : _("Mute for…")));
    const choice = el("select", { "data-key": "mute-for", "aria-label": _("Mute for") }, ...options);
    choice.addEventListener("change", () => this.#do(() => this.#acts.mute(Number(choice.value))));
    return el("div", { className: "field" }, choice);
  }

  /** When messages disappear: to be chosen by who may, to be read by all. */
  #timer(conv) {
    const held = conv.timer_s ?? 0;
    if (conv.type === "group" && !manages(conv)) {
      return el("p", { className: "hint" }, held ? _("Messages disappear after {span}.", { span: span(held) }) : _("Messages do not disappear."));
    }
    const choices = [...new Set([...TIMERS, held])].sort((a, b) => a - b);
    const options = choices.map((seconds) => el("option", { value: String(seconds), selected: seconds === held }, seconds ? _("After {span}", { span: span(seconds) }) : _("Never")));
    const choice = el("select", { "data-key": "timer" }, ...options);
    choice.addEventListener("change", () => this.#do(() => this.#acts.setTimer(Number(choice.value) || null)));
    return el("label", { className: "field" }, el("span", {}, _("Messages disappear")), choice);
  }

  #group(conv) {
    const rows = [];
    if (manages(conv)) {
      const name = el("input", { type: "text", value: conv.name ?? "", maxLength: 120, required: true, autocomplete: "off", "data-key": "name" });
      const rename = el("form", { className: "inline-form" }, el("label", { className: "field" }, el("span", {}, _("Group name")), name), button("rename", _("Rename"), null, { type: "submit" }));
      rename.addEventListener("submit", (event) => {
        event.preventDefault();
        this.#do(() => this.#acts.rename(name.value.trim()));
      });
      const more = el("div", { className: "button-row" }, button("add", _("Add people"), () => this.#do(() => this.#acts.add())), button("invite", _("Invite by link"), () => this.#do(() => this.#acts.invite())));
      rows.push(this.#asking(), rename, more);
    }
    const members = [...(conv.members ?? this.#paged)].sort((a, b) => RANK[a.role] - RANK[b.role] || a.display_name.localeCompare(b.display_name));
    rows.push(el("ul", { className: "people", "aria-label": _("Members") }, ...members.map((one) => this.#member(one, conv))));
    if (this.#cursor) rows.push(button("more", n("Show more of {count} member", "Show more of {count} members", conv.members_count), () => this.#do(() => this.#more())));
    rows.push(button("leave", _("Leave group"), () => this.#do(() => this.#acts.leave()), { className: "button danger" }));
    return rows;
  }

  /** Who wants to be let in. */
  #asking() {
    const { asking } = this.last;
    if (!asking.length) return "";
    const decide = (one, accept, label) => button(`${accept}-${one.id}`, label, () => this.#do(() => this.#acts.decide(one.id, accept)), { className: accept ? "button small" : "button quiet small", "aria-label": `${label}: ${one.display_name}` });
    const row = (one) => el("li", { className: "person" }, avatar(one.id, one.display_name, false, one.picture), el("span", { className: "person-text" }, el("span", { dir: "auto" }, one.display_name), el("small", {}, handle(one.username))), decide(one, false, _("Decline")), decide(one, true, _("Let in")));
    return el("section", { className: "asking", "aria-label": _("Want to join") }, el("h3", {}, _("Want to join")), el("ul", { className: "people" }, ...asking.map(row)));
  }

  #member(one, conv) {
    const self = one.id === this.last.me;
    const below = !self && RANK[one.role] > RANK[conv.role];
    const acts = [];
    if (conv.role === "owner" && !self) {
      const [role, label] = one.role === "admin" ? ["member", _("Undo admin")] : ["admin", _("Make admin")];
      acts.push(button(`role-${one.id}`, label, () => this.#do(() => this.#acts.setRole(one.id, role)), { className: "button quiet small", "aria-label": `${label}: ${one.display_name}` }));
    }
    if (conv.role === "owner" && one.role === "admin" && !self) {
      acts.push(button(`owner-${one.id}`, _("Make owner"), () => this.#do(() => this.#acts.transfer(one)), { className: "button quiet small", "aria-label": `${_("Make owner")}: ${one.display_name}` }));
    }
    if (below) acts.push(el("button", { className: "icon-button", type: "button", title: _("Remove"), "data-key": `remove-${one.id}`, "aria-label": _("Remove {name}", { name: one.display_name }), onclick: () => this.#do(() => this.#acts.remove(one)) }, icon("close")));
    const text = el("span", { className: "person-text" }, el("span", { dir: "auto" }, self ? _("{name} (you)", { name: one.display_name }) : one.display_name, botMark(one)), el("small", {}, [handle(one.username), ROLE[one.role]].filter(Boolean).join(" · ")));
    const who = self ? [avatar(one.id, one.display_name, false, one.picture), text] : [el("button", { className: "person-who", type: "button", "data-key": `who-${one.id}`, onclick: () => this.#acts.profile(one.id) }, avatar(one.id, one.display_name, false, one.picture), text)];
    return el("li", { className: "person" }, ...who, ...acts);
  }

  async #more() {
    const { conv } = this;
    const page = await this.#acts.members(this.#cursor);
    if (conv !== this.conv) return;
    this.#paged = [...this.#paged, ...page.results];
    this.#cursor = page.next;
    this.#paint();
  }

  async #do(act) {
    this.problem.hidden = true;
    try {
      await act();
    } catch (error) {
      this.problem.textContent = error.message;
      this.problem.hidden = false;
      this.problem.scrollIntoView({ block: "nearest" });
    }
  }
}

customElements.define("conversation-info", ConversationInfo);
