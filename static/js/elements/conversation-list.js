/** The list of conversations: one link each, arrow keys between them. */
import { avatar, el, hidden, icon, ticks } from "../dom.js";
import { listTime } from "../format.js";
import { _ } from "../i18n.js";

export class ConversationList extends HTMLElement {
  #rows = new Map();
  #list = null;
  #empty = null;
  /** The link that Tab stops at, and the open conversation: where one was last. */
  #stop = null;
  #active = null;

  connectedCallback() {
    this.addEventListener("keydown", (event) => {
      const links = [...this.querySelectorAll(".conversation")];
      const at = links.indexOf(document.activeElement);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
      const next = to === undefined || event.altKey ? null : links[to];
      if (next) {
        event.preventDefault();
        next.focus();
      }
    });
    this.addEventListener("focusin", (event) => {
      this.#stop = event.target.closest("li")?.dataset.id ?? this.#stop;
      this.#rove();
    });
    this.addEventListener("contextmenu", (event) => {
      const row = event.target.closest("li");
      if (!row || event.shiftKey) return;
      event.preventDefault();
      this.#menu(row, event.clientX || undefined, event.clientY);
    });
  }

  #menu(row, x, y) {
    const at = row.querySelector(".conversation");
    this.dispatchEvent(new CustomEvent("menu", { detail: { id: row.dataset.id, at, x, y } }));
  }

  /** Focus a conversation; the first where this one is not on the list. */
  focusOn(id) {
    (this.#rows.get(id)?.node.firstChild ?? this.querySelector(".conversation"))?.focus();
  }

  /** Show `items`: {id, face, picture, name, preview, status, ts, unread, marked, mentioned, muted, pinned, online, active, typing, draft}; for none, `empty`: {key, make}. */
  show(items, empty) {
    this.removeAttribute("aria-busy");
    if (!items.length) {
      this.#rows.clear();
      this.#list = null;
      // Made anew only when it says something else: a button under the finger stays.
      if (this.#empty !== empty.key) this.replaceChildren(empty.make());
      this.#empty = empty.key;
      return;
    }
    this.#empty = null;
    if (!this.#list) {
      this.#list = el("ul", { className: "conversations" });
      this.replaceChildren(this.#list);
    }
    const rows = new Map();
    items.forEach((item, at) => {
      const signature = JSON.stringify([item, item.ts && listTime(item.ts)]);
      let row = this.#rows.get(item.id);
      if (!row) row = { node: this.#row(item.id), signature: "" };
      if (row.signature !== signature) this.#paint(row.node.firstChild, item);
      row.signature = signature;
      rows.set(item.id, row);
      // Moving a focused link would lose the focus; what stands right is left alone.
      if (this.#list.children[at] !== row.node) {
        const focused = row.node.contains(document.activeElement) ? document.activeElement : null;
        this.#list.insertBefore(row.node, this.#list.children[at] ?? null);
        focused?.focus({ preventScroll: true });
      }
    });
    for (const [id, row] of this.#rows) if (!rows.has(id)) row.node.remove();
    this.#rows = rows;
    const active = items.find((item) => item.active)?.id ?? null;
    if (active && active !== this.#active) this.#stop = active;
    this.#active = active;
    this.#rove();
  }

  /** Tab stops once; the arrow keys go from there. */
  #rove() {
    const stop = this.#rows.has(this.#stop) ? this.#stop : this.#rows.keys().next().value;
    for (const [id, { node }] of this.#rows) node.firstChild.tabIndex = id === stop ? 0 : -1;
  }

  #row(id) {
    const more = el("button", { className: "icon-button row-more", type: "button", tabIndex: -1, title: _("More"), "aria-label": _("More actions") }, icon("more"));
    const row = el("li", { "data-id": id }, el("a", { className: "conversation", href: `#${id}` }), more);
    more.addEventListener("click", () => {
      const { left, bottom } = more.getBoundingClientRect();
      this.#menu(row, left, bottom);
    });
    return row;
  }

  #paint(link, item) {
    link.classList.toggle("unread", item.unread > 0 || item.marked);
    link.classList.toggle("muted", item.muted);
    if (item.active) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    const text = el("span", { className: item.typing ? "text typing" : "text", dir: "auto" }, item.typing ?? item.draft ?? item.preview);
    const draft = item.draft && !item.typing;
    link.replaceChildren(
      avatar(item.face, item.name, item.online, item.picture),
      el("span", { className: "name" }, el("bdi", {}, item.name), item.online ? hidden(_(" (online)")) : null, item.muted ? el("span", { className: "muted-mark", title: _("Muted") }, icon("muted"), hidden(_(" (muted)"))) : null, item.pinned ? el("span", { className: "muted-mark", title: _("Pinned") }, icon("pin"), hidden(_(" (pinned)"))) : null),
      el("span", { className: "time" }, item.ts ? listTime(item.ts) : ""),
      el("span", { className: "preview" }, item.status && !item.typing && !draft ? ticks(item.status) : null, draft ? el("span", { className: "draft" }, _("Draft: ")) : null, text),
      item.marked && !item.unread ? el("span", { className: "badge dot" }, hidden(_("marked as unread"))) : "",
      item.unread > 0
        ? el(
            "span",
            { className: "badges" },
            item.mentioned ? el("span", { className: "badge at", title: _("You are mentioned") }, "@", hidden(_(" you are mentioned, "))) : null,
            el("span", { className: "badge" }, item.unread > 99 ? "99+" : String(item.unread), hidden(_(" unread"))),
          )
        : "",
    );
  }
}

customElements.define("conversation-list", ConversationList);
