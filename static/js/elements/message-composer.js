/** The field one writes in, and the message it answers. Tells of the draft at every change. */
import { el, icon } from "../dom.js";

const TYPING_MS = 1_000;
const encoder = new TextEncoder();
/** Without a real keyboard there is no Shift+Enter: Enter breaks the line, and the button sends. */
const touch = matchMedia("(pointer: coarse)");

export class MessageComposer extends HTMLElement {
  #typedAt = 0;
  /** Id of the message that is answered. */
  #answers = null;
  maxBytes = 64 * 1024;

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
      } else if (event.key === "Escape" && this.#answers) {
        event.stopPropagation();
        this.answer(null);
      }
    });
    this.field.addEventListener("input", () => {
      this.#changed();
      const now = Date.now();
      if (this.field.value.trim() && now - this.#typedAt >= TYPING_MS) {
        this.#typedAt = now;
        this.dispatchEvent(new CustomEvent("typing"));
      }
    });
  }

  open(draft) {
    this.field.value = draft;
    this.answer(null);
    this.#fit();
  }

  focus() {
    this.field.focus({ preventScroll: true });
  }

  /** Answer a message, `quote`: {server_id, author, text}, or, with null, none. */
  answer(quote) {
    this.querySelector(".answering")?.remove();
    this.#answers = quote?.server_id ?? null;
    if (!quote) return;
    const cancel = el("button", { className: "icon-button", type: "button", "aria-label": "Do not reply", title: "Do not reply (Esc)" }, icon("close"));
    cancel.addEventListener("click", () => {
      this.answer(null);
      this.focus();
    });
    const text = el("span", { className: "quote" }, el("strong", { dir: "auto" }, `Reply to ${quote.author}`), el("span", { dir: "auto" }, quote.text));
    this.form.prepend(el("div", { className: "answering", role: "status" }, text, cancel));
  }

  #changed() {
    this.#fit();
    this.dispatchEvent(new CustomEvent("draft", { detail: this.field.value }));
  }

  #fit() {
    this.field.style.blockSize = "auto";
    this.field.style.blockSize = `${this.field.scrollHeight + 2}px`;
    const over = encoder.encode(this.field.value).length - this.maxBytes;
    this.button.disabled = !this.field.value.trim() || over > 0;
    this.error.hidden = over <= 0;
    this.error.textContent = over > 0 ? `This message is ${over.toLocaleString()} bytes too long.` : "";
  }

  #submit() {
    if (this.button.disabled) return;
    const detail = { body: this.field.value.trim(), reply_to: this.#answers };
    this.field.value = "";
    this.#typedAt = 0;
    this.answer(null);
    this.#changed();
    this.dispatchEvent(new CustomEvent("compose", { detail }));
    this.focus();
  }
}

customElements.define("message-composer", MessageComposer);
