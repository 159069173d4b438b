/** The field one writes in, and the message that it answers or edits. Tells of the draft at every change. */
import { el, icon, style } from "../dom.js";
import { _, n } from "../i18n.js";

const TYPING_MS = 1_000;
const encoder = new TextEncoder();
/** Without a real keyboard there is no Shift+Enter: Enter breaks the line, and the button sends. */
const touch = matchMedia("(pointer: coarse)");

export class MessageComposer extends HTMLElement {
  #typedAt = 0;
  /** The message that is answered: {server_id, author, text}. */
  #answers = null;
  /** The message that is edited: {server_id, text}, and the draft that has made room for it. */
  #edits = null;
  #aside = "";
  /** What goes with the text: how many files, and whether one is still on its way. */
  #attached = { count: 0, waiting: false };
  maxBytes = 64 * 1024;
  /** Return the people that can be mentioned: {id, username, name, face}. */
  people = () => [];
  /** Look for more people by what was typed; resolve to whether `people` has some now that it had not. */
  lookFor = async () => false;
  /** The list of people, which is loaded with the first @, and whether it is on its way. */
  #mentions = null;
  #loading = false;

  connectedCallback() {
    this.field = this.querySelector("textarea");
    this.field.enterKeyHint = touch.matches ? "enter" : "send";
    this.button = this.querySelector(".send");
    this.error = this.querySelector(".composer-error");
    this.form = this.querySelector("form");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.field.addEventListener("keydown", (event) => {
      // An input method's Enter chooses a word; it does not send.
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !touch.matches) {
        event.preventDefault();
        this.#submit();
      } else if (event.key === "Escape" && (this.#answers || this.#edits)) {
        event.stopPropagation();
        this.#cancel();
      } else if (event.key === "ArrowUp" && !this.field.value && !this.#edits && !event.isComposing && !event.altKey) {
        event.preventDefault();
        this.dispatchEvent(new CustomEvent("edit-last"));
      }
    });
    this.field.addEventListener("input", () => {
      if (!this.#mentions && !this.#loading && this.field.value.includes("@")) this.#loadMentions();
      this.#changed();
      const now = Date.now();
      if (this.field.value.trim() && now - this.#typedAt >= TYPING_MS) {
        this.#typedAt = now;
        this.dispatchEvent(new CustomEvent("typing"));
      }
    });
  }

  /** What is written: {body, reply_to}; null while it cannot be sent, or is an edit. */
  get written() {
    return this.button.disabled || this.#edits ? null : { body: this.field.value.trim(), reply_to: this.#answers?.server_id ?? null };
  }

  /** It is sent. */
  clear() {
    this.field.value = "";
    this.#typedAt = 0;
    this.answer(null);
    this.#changed();
  }

  set attached(files) {
    this.#attached = files;
    this.#fit();
  }

  async #loadMentions() {
    this.#loading = true;
    try {
      await Promise.all([import("./mention-list.js"), style("dialogs")]);
      this.#mentions = document.createElement("mention-list");
      this.append(this.#mentions);
      this.#mentions.serve(this.field, { people: () => this.people(), lookFor: (text) => this.lookFor(text) });
    } catch {
      // The next letter asks again.
    } finally {
      this.#loading = false;
    }
  }

  open(draft) {
    this.#mentions?.close();
    this.answer(null);
    this.field.value = draft;
    this.#fit();
  }

  /** Another device has left this; while a message is edited it waits for the end of that. */
  take(draft) {
    if (this.#edits) this.#aside = draft;
    else {
      this.field.value = draft;
      this.#fit();
    }
  }

  focus() {
    this.field.focus({ preventScroll: true });
  }

  /** Put something where the cursor is. */
  insert(text) {
    this.field.setRangeText(text, this.field.selectionStart, this.field.selectionEnd, "end");
    this.#changed();
  }

  /** Answer a message, `quote`: {server_id, author, text}, or, with null, none. */
  answer(quote) {
    this.#leaveEdit();
    this.querySelector(".answering")?.remove();
    this.#answers = quote;
    if (quote) this.#about(_("Reply to {name}", { name: quote.author }), quote.text, _("Do not reply"));
  }

  /** Edit a message, `edited`: {server_id, text}. What was begun comes back after it. */
  edit(edited) {
    this.answer(null);
    this.#aside = this.field.value;
    this.#edits = edited;
    this.field.value = edited.text;
    this.#about(_("Edit message"), edited.text.replace(/\s+/gu, " ").slice(0, 160), _("Do not edit"));
    this.classList.add("editing");
    this.#fit();
    this.focus();
    this.field.setSelectionRange(edited.text.length, edited.text.length);
  }

  /** What is begun beside the draft, for `resume`: a page that is loaded anew goes on with it. */
  get begun() {
    return { answers: this.#answers, edits: this.#edits, text: this.field.value };
  }

  resume({ answers, edits, text }) {
    if (edits) this.edit(edits);
    else this.answer(answers);
    this.field.value = text;
    this.#fit();
  }

  /** Is this message edited now? */
  edits(serverId) {
    return this.#edits?.server_id === serverId;
  }

  #about(title, text, undo) {
    const cancel = el("button", { className: "icon-button", type: "button", "aria-label": undo, title: `${undo} (Esc)`, onclick: () => this.#cancel() }, icon("close"));
    const quote = el("span", { className: "quote" }, el("strong", { dir: "auto" }, title), el("span", { dir: "auto" }, text));
    this.form.prepend(el("div", { className: "answering", role: "status" }, quote, cancel));
  }

  #cancel() {
    this.answer(null);
    this.#fit();
    this.focus();
  }

  #leaveEdit() {
    if (!this.#edits) return;
    this.#edits = null;
    this.field.value = this.#aside;
    this.classList.remove("editing");
  }

  #changed() {
    this.#fit();
    // What is edited is no draft.
    if (!this.#edits) this.dispatchEvent(new CustomEvent("draft", { detail: this.field.value }));
  }

  #fit() {
    const over = encoder.encode(this.field.value).length - this.maxBytes;
    const { count, waiting } = this.#edits ? { count: 0, waiting: false } : this.#attached;
    this.button.disabled = (!this.field.value.trim() && !count) || waiting || over > 0;
    // Now: what stands beside the field is there or not.
    this.field.style.blockSize = "auto";
    this.field.style.blockSize = `${this.field.scrollHeight + 2}px`;
    this.error.hidden = over <= 0;
    this.error.textContent = over > 0 ? n("This message is {count} byte too long.", "This message is {count} bytes too long.", over) : "";
  }

  #submit() {
    if (this.button.disabled) return;
    if (this.#edits) {
      const { server_id, text } = this.#edits;
      const body = this.field.value.trim();
      this.#cancel();
      if (body !== text) this.dispatchEvent(new CustomEvent("edited", { detail: { server_id, body } }));
      return;
    }
    const detail = this.written;
    this.clear();
    this.dispatchEvent(new CustomEvent("compose", { detail }));
    this.focus();
  }
}

customElements.define("message-composer", MessageComposer);
