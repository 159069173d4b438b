/** Something for the moderators: a report, or what one says against a message of one's own being withheld. */
import { el, icon } from "../dom.js";
import { _ } from "../i18n.js";

const CATEGORIES = [
  ["spam", _("Spam or fraud")],
  ["harassment", _("Harassment or bullying")],
  ["hate", _("Hate")],
  ["violence", _("Threats or violence")],
  ["sexual", _("Sexual content")],
  ["self_harm", _("Somebody may hurt themselves")],
  ["illegal", _("Something else that is against the law")],
  ["other", _("Something else")],
];
const MAX_CHARS = 2_000;

export class ReportDialog extends HTMLElement {
  #send = async () => {};

  connectedCallback() {
    this.heading = el("h2", { id: "report-title" });
    this.lead = el("p", { className: "hint", id: "report-lead" });
    const radio = ([value, label]) => el("label", { className: "choice" }, el("input", { type: "radio", name: "category", value, required: true }), label);
    this.categories = el("fieldset", { className: "choices" }, el("legend", {}, _("What is wrong?")), ...CATEGORIES.map(radio));
    this.words = el("span", {});
    this.text = el("textarea", { name: "text", rows: 3, maxLength: MAX_CHARS, dir: "auto" });
    this.blockBox = el("input", { type: "checkbox", name: "block" });
    this.blockLabel = el("span", {});
    this.block = el("label", { className: "choice" }, this.blockBox, this.blockLabel);
    this.problem = el("p", { className: "problem", role: "alert", hidden: true });
    this.submit = el("button", { className: "button", type: "submit" });
    const close = el("button", { className: "icon-button", type: "button", "aria-label": _("Close"), onclick: () => this.dialog.close() }, icon("close"));
    this.form = el(
      "form",
      { className: "dialog-form" },
      el("div", { className: "dialog-bar" }, this.heading, close),
      el("div", { className: "dialog-body" }, this.lead, this.categories, el("label", { className: "field" }, this.words, this.text), this.block, this.problem),
      el("div", { className: "dialog-actions" }, el("button", { className: "button quiet", type: "button", onclick: () => this.dialog.close() }, _("Cancel")), this.submit),
    );
    this.dialog = el("dialog", { "aria-labelledby": "report-title", "aria-describedby": "report-lead" }, this.form);
    this.append(this.dialog);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submitted();
    });
  }

  /**
   * Open for a report. `title`, `lead`: what it is about; `block`: the name of who may be blocked as well, or null;
   * `send({category, text, block})` may throw an ApiError.
   */
  report({ title, lead, block, send }) {
    this.#open({ title, lead, words: _("What should the moderators know? (optional)"), action: _("Send report"), send });
    this.categories.hidden = this.categories.disabled = false;
    this.text.required = false;
    this.block.hidden = !block;
    this.blockLabel.textContent = _("Also block {name}", { name: block });
    this.categories.querySelector("input").focus();
  }

  /** Open for an appeal; `send({text})` may throw an ApiError. */
  appeal(send) {
    this.#open({
      title: _("Ask for your message back"),
      lead: _("Moderators withheld it from everybody. You can ask them once to look at it again."),
      words: _("Why should it come back?"),
      action: _("Send appeal"),
      send,
    });
    this.categories.hidden = this.categories.disabled = true;
    this.text.required = true;
    this.block.hidden = true;
    this.text.focus();
  }

  #open({ title, lead, words, action, send }) {
    this.#send = send;
    this.form.reset();
    this.problem.hidden = true;
    this.submit.disabled = false;
    this.heading.textContent = title;
    this.lead.textContent = lead;
    this.words.textContent = words;
    this.submit.textContent = action;
    this.dialog.showModal();
  }

  async #submitted() {
    this.submit.disabled = true;
    try {
      await this.#send({ category: new FormData(this.form).get("category"), text: this.text.value.trim(), block: !this.block.hidden && this.blockBox.checked });
      this.dialog.close();
    } catch (error) {
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    }
    this.submit.disabled = false;
  }
}

customElements.define("report-dialog", ReportDialog);
