/** The field one writes in: Enter sends, Shift+Enter breaks the line; keeps a draft a conversation. */

const TYPING_MS = 1_000;
const encoder = new TextEncoder();

export class MessageComposer extends HTMLElement {
  #drafts = new Map();
  #conv = null;
  #typedAt = 0;
  maxBytes = 64 * 1024;

  connectedCallback() {
    this.field = this.querySelector("textarea");
    this.button = this.querySelector(".send");
    this.error = this.querySelector(".composer-error");
    this.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.field.addEventListener("keydown", (event) => {
      // An input method's Enter chooses a word; it does not send.
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.#submit();
      }
    });
    this.field.addEventListener("input", () => {
      this.#fit();
      const now = Date.now();
      if (this.field.value.trim() && now - this.#typedAt >= TYPING_MS) {
        this.#typedAt = now;
        this.dispatchEvent(new CustomEvent("typing"));
      }
    });
  }

  open(conv) {
    if (this.#conv) this.#drafts.set(this.#conv, this.field.value);
    this.#conv = conv;
    this.field.value = this.#drafts.get(conv) ?? "";
    this.#fit();
  }

  focus() {
    this.field.focus({ preventScroll: true });
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
    const body = this.field.value.trim();
    this.field.value = "";
    this.#typedAt = 0;
    this.#fit();
    this.dispatchEvent(new CustomEvent("compose", { detail: { body } }));
  }
}

customElements.define("message-composer", MessageComposer);
