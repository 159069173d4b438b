/**
 * What the keys do: one table, which the handler below follows and the sheet of the shortcuts shows.
 *
 * Keys of a single letter act only while a message has the focus by the keyboard, or nothing that takes text has it, and can be
 * switched off (WCAG 2.1.4): whoever points at a message and types means to write.
 */
import { _ } from "./i18n.js";
import { root, state, view } from "./model.js";
import { $, composer, list, mayDo, menu, messages, summon, toast } from "./page.js";
import { keyOf } from "./rows.js";
import { shownOf, sortedConversations } from "./store.js";

const SINGLE = "chat-single-keys";
const narrow = matchMedia("(width < 700px)");
/** After these one goes by the keyboard; after a click one does not, until the next of them. */
const GOES = new Set(["Tab", "F6", "ArrowUp", "ArrowDown", "Home", "End"]);

/** Whether keys of a single letter act here, in this browser. */
export const singleKeys = () => localStorage.getItem(SINGLE) !== "off";

/** Switch them on or off. Says so where the browser keeps nothing. */
export function setSingleKeys(on) {
  try {
    if (on) localStorage.removeItem(SINGLE);
    else localStorage.setItem(SINGLE, "off");
  } catch {
    toast(_("This browser keeps nothing between visits."));
  }
}

// --- what they do ------------------------------------------------------------------------------------

/** Open the conversation above (-1) or below (1) the open one; `unread`: that has something to read. */
function step(by, unread = false) {
  const order = sortedConversations(state).filter((conv) => Boolean(conv.archived) === view.archive);
  const at = order.findIndex((conv) => conv.id === view.active);
  const wanted = (conv) => !unread || conv.unread_count > 0 || conv.marked_unread;
  const next = by < 0 && at >= 0 ? order.slice(0, at).findLast(wanted) : order.slice(at + 1).find(wanted);
  if (next) location.hash = next.id;
}

function findConversation() {
  if (root.dataset.view === "thread" && narrow.matches) location.hash = "";
  $("search").focus();
  $("search").select();
}

/** Have the messages take a key as if it were that one: they go through themselves. */
const asKey = (key) => (focused() ?? messages.querySelector(".scroller")).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));

function newest() {
  messages.toBottom();
  const all = messages.querySelectorAll(".message");
  all[all.length - 1]?.focus({ preventScroll: true });
}

/** Go to the next part of the page (1) or the one before (-1): the conversations, the messages, the field to write in. */
function part(by) {
  const parts = [[$("search").closest(".sidebar"), () => list.focusOn(view.active)], ...(view.active ? [[messages, () => asKey("ArrowUp")], [composer, () => composer.focus()]] : [])];
  const shown = parts.filter(([node]) => node.checkVisibility());
  const at = shown.findIndex(([node]) => node.contains(document.activeElement));
  shown[(at + by + shown.length) % shown.length]?.[1]();
}

const focused = () => document.activeElement.closest?.("message-list .message");

/** Do to the message that has the focus what the menu would, if one may. */
function toMessage(name) {
  const node = focused();
  const message = node && shownOf(state, view.active).find((one) => keyOf(one) === node.dataset.message);
  if (!message?.server_id || message.deleted) return;
  const can = mayDo(state.convs[view.active], message);
  const detail = { message, can, at: node };
  if (name === "react" && can.includes("react")) messages.dispatchEvent(new CustomEvent("menu", { detail: { ...detail, part: "react" } }));
  else if (name === "menu" && can.length) messages.dispatchEvent(new CustomEvent("menu", { detail }));
  else if (can.includes(name)) menu.dispatchEvent(new CustomEvent(name, { detail }));
}

export const openSheet = async () => (await summon("shortcut-sheet")).open({ groups: GROUPS, single: singleKeys(), setSingle: setSingleKeys });

// --- the table ---------------------------------------------------------------------------------------

/**
 * Groups of {keys, says, act}. `keys`: any of these; "Ctrl" is also ⌘. `act`: what it does; those without one are the composer's
 * and the list's own, which have them also where this module is not there yet. `at`: `message`, where one has to have the focus.
 */
export const GROUPS = [
  {
    title: _("Everywhere"),
    rows: [
      { keys: ["?"], says: _("Show these shortcuts"), act: openSheet },
      { keys: ["Ctrl+k"], says: _("Find a conversation"), act: findConversation },
      { keys: ["/"], says: _("Search messages"), act: () => (view.active ? $("thread-search") : $("search-messages")).click() },
      { keys: ["Alt+ArrowUp"], says: _("Conversation above"), act: () => step(-1) },
      { keys: ["Alt+ArrowDown"], says: _("Conversation below"), act: () => step(1) },
      { keys: ["Alt+Shift+ArrowUp"], says: _("Unread conversation above"), act: () => step(-1, true) },
      { keys: ["Alt+Shift+ArrowDown"], says: _("Unread conversation below"), act: () => step(1, true) },
      { keys: ["F6"], says: _("Next part: conversations, messages, writing"), act: () => part(1) },
      { keys: ["Shift+F6"], says: _("Part before"), act: () => part(-1) },
      { keys: ["Escape"], says: _("Close what is open"), own: true },
    ],
  },
  {
    title: _("Messages"),
    rows: [
      { keys: ["ArrowUp", "k"], says: _("Message above"), at: "messages", act: () => asKey("ArrowUp") },
      { keys: ["ArrowDown", "j"], says: _("Message below"), at: "messages", act: () => asKey("ArrowDown") },
      { keys: ["End"], says: _("Newest message"), at: "messages", act: newest },
      { keys: ["Enter", "r"], says: _("Reply"), at: "message", act: () => toMessage("reply") },
      { keys: ["+", ":"], says: _("React"), at: "message", act: () => toMessage("react") },
      { keys: ["e"], says: _("Edit your message"), at: "message", act: () => toMessage("edit") },
      { keys: ["f"], says: _("Forward"), at: "message", act: () => toMessage("forward") },
      { keys: ["c"], says: _("Copy the text"), at: "message", act: () => toMessage("copy") },
      { keys: ["Delete"], says: _("Delete, after a question"), at: "message", act: () => toMessage("delete") },
      { keys: ["m", "Shift+F10"], says: _("All that one can do with it"), at: "message", act: () => toMessage("menu") },
    ],
  },
  {
    title: _("Writing"),
    rows: [
      { keys: ["Enter"], says: _("Send"), own: true },
      { keys: ["Shift+Enter"], says: _("New line"), own: true },
      { keys: ["ArrowUp"], says: _("Edit your last message, with nothing written"), own: true },
      { keys: ["Escape"], says: _("Do not reply, do not edit"), own: true },
      { keys: ["@"], says: _("Mention somebody"), own: true },
    ],
  },
];

/** A letter, a digit or a mark, without more: what one also types. */
export const isSingle = (keys) => keys.length === 1;

function fits(keys, event) {
  if (isSingle(keys)) return event.key === keys && !event.ctrlKey && !event.metaKey && !event.altKey;
  const parts = keys.split("+");
  const has = (name) => parts.includes(name);
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  return key === parts.at(-1) && (event.ctrlKey || event.metaKey) === has("Ctrl") && event.altKey === has("Alt") && event.shiftKey === has("Shift");
}

/** Return what takes keys from now on. `escape()` closes what is uppermost. */
export function serve({ escape }) {
  let pointed = true;
  const rows = GROUPS.flatMap((group) => group.rows).filter((row) => row.act);
  document.addEventListener("pointerdown", () => (pointed = true), { capture: true, passive: true });
  document.addEventListener("keydown", (event) => GOES.has(event.key) && (pointed = false), { capture: true, passive: true });

  const here = { messages: () => !pointed && messages.contains(document.activeElement), message: () => !pointed && document.activeElement === focused() };
  const applies = (row, keys, event) => {
    if (!fits(keys, event) || (row.at && !here[row.at]())) return false;
    const typing = event.target.closest("input, textarea, select");
    return !isSingle(keys) || (!typing && singleKeys());
  };

  return (event) => {
    // What an element did with a key, it did.
    if (event.defaultPrevented || !event.isTrusted || document.querySelector("dialog[open], :popover-open")) return;
    if (event.key === "Escape") return void escape();
    const row = rows.find((one) => one.keys.some((keys) => applies(one, keys, event)));
    if (row) {
      event.preventDefault();
      Promise.resolve(row.act()).catch((error) => toast(error.message));
      return;
    }
    const chord = event.ctrlKey || event.metaKey || event.altKey;
    // Who types with the focus in the messages means to write.
    if (view.active && !composer.hidden && event.key.length === 1 && event.key !== " " && !chord && !event.target.closest("input, textarea, button, summary, a")) composer.focus();
  };
}
