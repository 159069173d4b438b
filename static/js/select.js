/** Several messages at once: to copy, forward or delete together. Loaded when there is nothing else to do. */
import { change } from "./acts.js";
import { el, icon, style } from "./dom.js";
import { _, locale, n } from "./i18n.js";
import { me, state, view } from "./model.js";
import { nameOf, textOf, titleOf } from "./names.js";
import { $, composer, confirm, mayDo, menu, messages, toast } from "./page.js";
import { keyOf } from "./rows.js";
import { shownOf } from "./store.js";

/** What one may send at once without being slowed down. */
const MOST = 50;
const STAMP = new Intl.DateTimeFormat(locale, { dateStyle: "short", timeStyle: "short" });

/** Keys of what is selected; null while nothing is being selected. */
let picked = null;
/** The one that Shift selects from. */
let anchor = null;

const can = (message) => (message.server_id && !message.deleted ? mayDo(state.convs[message.conv], message) : []);
const selectable = () => shownOf(state, view.active).filter((one) => can(one).includes("select"));
const chosen = () => selectable().filter((one) => picked.has(keyOf(one)));

// --- in the list -------------------------------------------------------------------------------------

/** Give each message its box; what was painted anew lacks it. */
function mark() {
  const all = new Map(selectable().map((one) => [keyOf(one), one]));
  for (const key of picked) if (!all.has(key)) picked.delete(key);
  for (const row of messages.rows.querySelectorAll(".message")) {
    const message = all.get(row.dataset.message);
    let box = row.querySelector(".pick");
    if (!message) {
      box?.remove();
      continue;
    }
    if (!box) {
      box = el("input", { className: "pick", type: "checkbox", "aria-label": _("Select: {name}, {text}", { name: message.from === me.id ? _("You") : nameOf(message.from), text: textOf(message).slice(0, 80) }) });
      row.prepend(box);
    }
    box.checked = picked.has(row.dataset.message);
  }
  paint();
}

const repainted = new MutationObserver(mark);

function toggle(key, range) {
  const order = selectable().map(keyOf);
  const from = range && anchor ? order.indexOf(anchor) : -1;
  const to = order.indexOf(key);
  if (to < 0) return;
  if (from >= 0) order.slice(Math.min(from, to), Math.max(from, to) + 1).forEach((one) => picked.add(one));
  else if (!picked.delete(key)) picked.add(key);
  anchor = key;
  if (picked.size > MOST) {
    [...picked].slice(MOST).forEach((one) => picked.delete(one));
    toast(_("{count} messages can be selected at a time.", { count: MOST }));
  }
  mark();
}

function clicked(event) {
  const row = event.target.closest(".message");
  if (!row) return;
  event.preventDefault();
  event.stopPropagation();
  toggle(row.dataset.message, event.shiftKey);
}

function pressed(event) {
  if (document.querySelector("dialog[open], :popover-open")) return;
  if (event.key === "Escape") {
    event.stopPropagation();
    end();
  } else if (event.key === " " && document.activeElement?.matches(".message")) {
    event.preventDefault();
    event.stopPropagation();
    toggle(document.activeElement.dataset.message, event.shiftKey);
  }
}

// --- the bar -----------------------------------------------------------------------------------------

const count = el("strong", { "aria-live": "polite" });
const act = (label, picture, onclick, className = "button quiet small") => el("button", { className, type: "button", onclick }, icon(picture), label);
const copyButton = act(_("Copy"), "copy", () => copy());
const forwardButton = act(_("Forward"), "forward", () => forward());
const deleteButton = act(_("Delete"), "bin", () => remove());
const endButton = el("button", { className: "icon-button", type: "button", title: _("End the selection"), "aria-label": _("End the selection"), onclick: () => end() }, icon("close"));
const bar = el("div", { className: "select-bar", role: "toolbar", "aria-label": _("Selected messages") }, count, copyButton, forwardButton, deleteButton, endButton);

function paint() {
  const some = chosen();
  const every = (name) => some.length > 0 && some.every((one) => can(one).includes(name));
  count.textContent = n("{count} message selected", "{count} messages selected", some.length);
  copyButton.disabled = !some.some((one) => can(one).includes("copy"));
  forwardButton.disabled = !every("forward");
  deleteButton.disabled = !every("delete");
}

async function start(message) {
  if (picked) end();
  await style("select");
  picked = new Set([keyOf(message)]);
  anchor = keyOf(message);
  messages.classList.add("selecting");
  $("thread").insertBefore(bar, composer);
  // Before what else listens: nothing but selecting is done by a click now.
  messages.scroller.addEventListener("click", clicked, true);
  document.addEventListener("keydown", pressed, true);
  window.addEventListener("hashchange", end);
  repainted.observe(messages.rows, { childList: true });
  mark();
  messages.rows.querySelector(`[data-message="${CSS.escape(anchor)}"]`)?.focus({ preventScroll: true });
}

function end() {
  if (!picked) return;
  picked = null;
  repainted.disconnect();
  messages.scroller.removeEventListener("click", clicked, true);
  document.removeEventListener("keydown", pressed, true);
  window.removeEventListener("hashchange", end);
  messages.classList.remove("selecting");
  for (const box of messages.rows.querySelectorAll(".pick")) box.remove();
  bar.remove();
  if (!composer.hidden) composer.focus();
}

async function copy() {
  const line = (one) => _("[{time}] {name}: {text}", { time: STAMP.format(one.ts), name: nameOf(one.from), text: textOf(one) });
  const lines = chosen().filter((one) => can(one).includes("copy")).map(line);
  try {
    await navigator.clipboard.writeText(lines.join("\n"));
  } catch {
    toast(_("This browser does not let pages copy here. Mark the text to copy it."));
    return;
  }
  toast(_("Copied."));
  end();
}

function forward() {
  const some = chosen();
  end();
  menu.dispatchEvent(new CustomEvent("forward", { detail: { messages: some } }));
}

async function remove() {
  const some = chosen();
  const title = n("Delete {count} message?", "Delete {count} messages?", some.length);
  if (!(await confirm.ask({ title, text: _("They are deleted for everyone in “{name}”.", { name: titleOf(state.convs[view.active]) }), action: _("Delete") }))) return;
  end();
  for (const one of some) await change("delete", one);
}

export function begin() {
  menu.addEventListener("select", ({ detail }) => start(detail.message));
}
