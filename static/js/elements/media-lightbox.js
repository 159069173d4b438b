/** Pictures in full, one at a time: arrow keys between them, Escape ends it. The browser keeps the focus inside. */
import { el, icon } from "../dom.js";
import { _, rtl } from "../i18n.js";
import { contentOf, downloadOf } from "../media.js";

export class MediaLightbox extends HTMLElement {
  #pictures = [];
  #at = 0;

  connectedCallback() {
    this.image = el("img", { alt: "" });
    this.image.addEventListener("load", () => this.dialog.classList.remove("loading"));
    this.image.addEventListener("error", () => {
      this.dialog.classList.remove("loading");
      this.caption.textContent = _("This picture could not be loaded.");
    });
    this.caption = el("p", { className: "lightbox-caption", role: "status", dir: "auto" });
    this.save = el("a", { className: "icon-button", title: _("Save"), "aria-label": _("Save") }, icon("save"));
    const close = el("button", { className: "icon-button", type: "button", title: _("Close (Esc)"), "aria-label": _("Close"), onclick: () => this.dialog.close() }, icon("close"));
    this.back = this.#arrow(_("Previous picture"), "back", -1);
    this.forth = this.#arrow(_("Next picture"), "forth", 1);
    this.dialog = el("dialog", { className: "lightbox", "aria-label": _("Picture") }, el("div", { className: "lightbox-bar" }, this.caption, this.save, close), this.back, this.image, this.forth);
    this.append(this.dialog);
    this.dialog.addEventListener("keydown", (event) => {
      const forth = rtl ? -1 : 1;
      const by = { ArrowLeft: -forth, ArrowRight: forth }[event.key];
      if (by) {
        event.preventDefault();
        this.#go(by);
      }
    });
    // Beside the picture is outside of it.
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("close", () => this.image.removeAttribute("src"));
  }

  #arrow(label, name, by) {
    return el("button", { className: `icon-button lightbox-${name}`, type: "button", title: label, "aria-label": label, onclick: () => this.#go(by) }, icon("back"));
  }

  /** Show `pictures`, each {info, message}, beginning with the one at `at`. */
  open(pictures, at) {
    this.#pictures = pictures;
    this.#at = at;
    this.dialog.showModal();
    this.#paint();
  }

  #go(by) {
    const next = this.#at + by;
    if (!this.#pictures[next]) return;
    this.#at = next;
    this.#paint();
  }

  #paint() {
    const { info, message } = this.#pictures[this.#at];
    this.dialog.classList.add("loading");
    this.image.alt = info.name;
    this.image.src = contentOf(info, message);
    this.save.href = downloadOf(info, message);
    this.save.download = info.name;
    this.caption.textContent = this.#pictures.length > 1 ? _("{name} · {at} of {count}", { name: info.name, at: this.#at + 1, count: this.#pictures.length }) : info.name;
    this.back.disabled = this.#at === 0;
    this.forth.disabled = this.#at === this.#pictures.length - 1;
  }
}

customElements.define("media-lightbox", MediaLightbox);
