/** Starts the client and ties the pieces together: addresses, keys and buttons to what they do. */
import { change, discard, markAllRead, retry, send, setBlocked, shelve, startConversation } from "./acts.js";
import * as api from "./api.js";
import { attached, recorder } from "./attach.js";
import { paintAvatar } from "./dom.js";
import { moment } from "./format.js";
import { _, n } from "./i18n.js";
import { changed, database, dispatch, leaveDatabase, me, onChange, openDatabase, restore, restoreOthers, root, setDraft, state, view } from "./model.js";
import { excerpt, lookForMembers, mentionable, mentionsOfText, nameOf, preview, summaryOf } from "./names.js";
import { $, banner, callOff, composer, confirm, draining, failed, info, list, listed, loadLater, menu, messages, paint, paintConnection, paintList, paintNetwork, people, pinnedBar, rowMenu, seen, summon, toast, withElement } from "./page.js";
import { keyOf } from "./rows.js";
import { isMuted, pastOf, receiptsOf, shownOf, threadOf } from "./store.js";
import { events, fetchConversation, loadAround, loadBlocks, loadConversations, loadNewer, loadNewest, loadOlder, openThread, takeUnsent, wire } from "./sync.js";

/** "Last seen 3 min ago" and "Yesterday" go on with the clock. */
const REPAINT_MS = 30_000;

/** Where this tab keeps what was being written when the session ended. */
const ASIDE = "chat-aside";

const typesBest = matchMedia("(width >= 700px) and (hover: hover)");

/** The session is over, here or for the whole browser: what was read here goes, and the next page says why. */
async function signedOut() {
  api.leave();
  wire.stop();
  try {
    // What was begun waits for its author in this tab: nothing typed is lost, and no other tab has it.
    sessionStorage.setItem(ASIDE, JSON.stringify({ user: me.id, drafts: view.drafts, at: location.hash }));
  } catch {
    // This browser keeps nothing.
  }
  await leaveDatabase("forget");
  location.assign(`${root.dataset.loginUrl}?next=/&ended=1`);
}

/** Take back what was begun before its author had to sign in again. */
function takeAside() {
  const { user, drafts, at } = JSON.parse(sessionStorage.getItem(ASIDE)) ?? {};
  sessionStorage.removeItem(ASIDE);
  if (user !== me.id) return;
  for (const [conv, body] of Object.entries(drafts)) setDraft(conv, body);
  if (!location.hash && at) location.replace(at);
}

/** Moderators keep the account out: the server's page says why, and until when. */
function suspended() {
  wire.stop();
  location.assign("/");
}

// --- which conversation ------------------------------------------------------------------------------

const narrow = matchMedia("(width < 700px)");

/** On a phone the list is what the page is about, until a conversation is open. */
function landmark() {
  const main = narrow.matches && root.dataset.view === "list";
  document.querySelector(".sidebar").setAttribute("role", main ? "main" : "complementary");
}
narrow.addEventListener("change", landmark);

function route() {
  // A conversation, and perhaps one of its messages: `#c_…/m_…`.
  const [where, message] = location.hash.slice(1).split("/");
  const id = where || null;
  if (message) {
    // The next time the same link is a change of the address again.
    history.replaceState(null, "", `#${id}`);
    showMessage(id, message);
    return;
  }
  if (id?.startsWith("join=")) {
    withPeople(({ join }) => join(decodeURIComponent(id.slice(5))));
    return;
  }
  // Shortcuts of the installed app.
  if (id === "new-chat" || id === "search") {
    history.replaceState(null, "", location.pathname);
    if (id === "search") openSearch();
    else newChat();
    return;
  }
  const before = view.active;
  if (id === before) return;
  view.active = id;
  root.dataset.view = id ? "thread" : "list";
  landmark();
  dispatch({ type: "present" });
  if (state.convs[before]?.closed) dispatch({ type: "conversation-gone", conv: before });
  if (id) {
    const conv = state.convs[id];
    view.lineAfter = conv?.unread_count ? (conv.last_read ?? "") : null;
    composer.open(view.drafts[id] ?? "");
    recorder.cancel?.();
    attached.open(id);
    if (conv?.marked_unread) shelve(id, { marked_unread: false }).catch(() => {});
    if (!conv && state.listLoaded) fetchConversation(id).then(() => state.convs[id] || view.active !== id || nowhere());
    openThread(id);
  }
  paint();
  if (id && typesBest.matches) composer.focus();
  // Who closed a conversation goes on from where it was opened.
  if (!id) list.focusOn(before);
}

/** Where the address leads there is nothing, or nothing for this reader: the two look alike. */
function nowhere() {
  toast(navigator.onLine ? _("This conversation does not exist, or you are not in it.") : _("You are offline, and this conversation is not kept here."));
  location.hash = "";
}

/** Bring a message of the open conversation into view, wherever in it that is. */
async function goTo(serverId) {
  const conv = view.active;
  if (messages.reveal(serverId)) return;
  try {
    await loadAround(conv, serverId);
  } catch (error) {
    if (view.active === conv) toast(error.status === 404 ? _("This message is gone.") : error.message);
    return;
  }
  if (view.active !== conv) return;
  paint();
  messages.reveal(serverId);
}

// --- search ------------------------------------------------------------------------------------------

let search = null;

/** Search messages: in a conversation first, or, without one, in all of them. It is loaded when somebody searches. */
async function openSearch(conv = null, text = "") {
  try {
    search ??= await import("./search.js");
  } catch {
    toast(_("No connection to the server."));
    return;
  }
  search.open(conv, text, (hit) => {
    location.hash = hit.conv;
    route();
    goTo(hit.server_id);
  });
}

// --- dialogs -----------------------------------------------------------------------------------------

/** Do something of what is not in the way of the first picture: see people.js. */
const withPeople = (use) =>
  import("./people.js")
    .catch(() => Promise.reject(new Error(_("No connection to the server."))))
    .then(use)
    .catch(failed);

const newChat = (query = "") =>
  people("chat", { query, exclude: [me.id], finish: ({ users }) => startConversation({ type: "dm", members: users }) });
const newGroup = () =>
  people("group", { exclude: [me.id], finish: ({ users, name }) => startConversation({ type: "group", members: users, name }) });

/** What one may do with a conversation of the list. */
function openRowMenu({ id, at, x, y }) {
  const conv = state.convs[id];
  if (!conv) return;
  const unread = conv.unread_count > 0 || conv.marked_unread;
  const can = [conv.pinned ? "untop" : "top", unread ? "read" : "unread", ...(isMuted(conv, Date.now()) ? ["unmute"] : ["mute", "mute-8h"]), conv.archived ? "unarchive" : "archive"];
  withElement("conversation-menu", (opened) => opened.open({ message: conv, can, at, x, y }));
}

const mute = (seconds) => ({ id }) =>
  import("./manage.js")
    .catch(() => Promise.reject(new Error(_("No connection to the server."))))
    .then(({ actsOn }) => actsOn(id).mute(seconds));

/** What the items of that menu do. */
const ROW_ACTS = {
  top: ({ id }) => shelve(id, { pinned: true }),
  untop: ({ id }) => shelve(id, { pinned: false }),
  read: markAllRead,
  unread: ({ id }) => {
    if (view.active === id) location.hash = "";
    return shelve(id, { marked_unread: true });
  },
  mute: mute(Infinity),
  "mute-8h": mute(8 * 3_600),
  unmute: mute(0),
  archive: ({ id }) => shelve(id, { archived: true }),
  unarchive: ({ id }) => shelve(id, { archived: false }),
};

// --- what one does with a message --------------------------------------------------------------------

const found = (serverId) => shownOf(state, view.active).find((one) => one.server_id === serverId);

/** The message that an element of the list shows. */
const messageOf = (node) => shownOf(state, view.active).find((one) => keyOf(one) === node.dataset.message);

function reply(message) {
  if (composer.hidden) return;
  composer.answer({ server_id: message.server_id, ...excerpt(message) });
  composer.focus();
}

function editLast() {
  const mine = shownOf(state, view.active).findLast((one) => one.from === me.id && one.kind !== "event" && one.server_id && !one.deleted && !one.withheld);
  if (mine) composer.edit({ server_id: mine.server_id, text: mine.body });
}

async function remove(message) {
  const text = message.from === me.id ? _("It is deleted for everyone here.") : _("{name} wrote it. It is deleted for everyone here.", { name: nameOf(message.from) });
  if (await confirm.ask({ title: _("Delete this message?"), text, action: _("Delete") })) {
    if (composer.edits(message.server_id)) composer.answer(null);
    await change("delete", message);
  }
}

const copyLink = (message) => copy({ body: `${location.origin}/#${message.conv}/${message.server_id}` });

/** Open a conversation at one of its messages. */
async function showMessage(conv, serverId) {
  route();
  await openThread(conv);
  paint();
  if (view.active === conv) goTo(serverId);
}

/** Go to where a day begins in the open conversation. */
async function goToDay(from) {
  const conv = view.active;
  const day = await (await summon("date-dialog")).ask(from);
  if (!day) return;
  try {
    const [year, month, date] = day.split("-").map(Number);
    const { server_id } = await api.since(conv, new Date(year, month - 1, date).toISOString());
    if (view.active === conv) goTo(server_id);
  } catch (error) {
    toast(error.status === 404 ? _("Nothing was said since that day.") : error.message);
  }
}

async function openDetails(message) {
  (await summon("message-details")).open({ sent: moment(message.ts), text: preview(summaryOf(message)), ...receiptsOf(state, message) });
}

/** Put emoji into what is being written. */
async function openEmoji() {
  (await summon("emoji-picker")).open($("emoji"), (emoji) => composer.insert(emoji));
}

async function copy(message) {
  try {
    await navigator.clipboard.writeText(message.body);
    toast(_("Copied."));
  } catch {
    toast(_("This browser does not let pages copy here. Mark the text to copy it."));
  }
}

/** The page may be one that was kept, from before the last sign-in: the token in its form is an old one. */
function signOutBy(form) {
  form.elements.csrfmiddlewaretoken.value = api.csrfToken();
  form.submit();
}

/** Sign out, but not over messages that would be lost. */
async function signOut(form) {
  const waiting = (await database?.outbox().catch(() => [])) ?? [];
  const text = n("{count} message could not be sent yet, and will be lost.", "{count} messages could not be sent yet, and will be lost.", waiting.length);
  if (waiting.length && !(await confirm.ask({ title: _("Sign out?"), text, action: _("Sign out") }))) return;
  // An answer that the session is over would look as if somebody else had ended it.
  api.leave();
  wire.stop();
  await leaveDatabase("destroy");
  signOutBy(form);
}

/** Drafts are brought into step with other devices when there is nothing else to do. */
const withDrafts = (use) => import("./drafts.js").then(use).catch(() => {});

/** The browser has lost its network or found it: a socket may not know yet. */
function networkChanged() {
  wire.wake();
  paintNetwork();
}

$("skip").addEventListener("click", () => (view.active ? (composer.hidden ? messages.querySelector(".scroller") : composer) : $("welcome-new")).focus());

// --- events ------------------------------------------------------------------------------------------

onChange(() => {
  paint();
  search?.refresh();
});
events.addEventListener("ready", ({ detail }) => {
  composer.maxBytes = detail.max_body_bytes;
  attached.ready({ max: detail.max_media_refs, maxBytes: detail.max_media_bytes });
  withDrafts(({ begin }) => begin((conv, body) => conv === view.active && composer.take(body)));
});
events.addEventListener("connection", ({ detail }) => paintConnection(detail));
events.addEventListener("listed", listed);
events.addEventListener("signed-out", signedOut);
events.addEventListener("suspended", suspended);
events.addEventListener("refused", ({ detail }) => {
  const what = { edit: _("Your edit was not saved."), delete: _("The message was not deleted."), react: _("Your reaction was not saved."), pin: _("The pins were not changed.") }[detail.op];
  toast(`${what} ${detail.detail}`);
});
events.addEventListener("draining", draining);
events.addEventListener("unkept", () => toast(_("There is no room left in this browser: what is not sent yet is lost on reload.")));
events.addEventListener("broken", () => banner(_("This page no longer fits the server. Reload it."), { final: true }));
events.addEventListener("gone", ({ detail }) => {
  if (info.openFor === detail.conv) info.close();
  // One that is open says so itself, and stays until it is left.
  if (state.convs[detail.conv]?.closed) return;
  if (detail.by === me.id) toast(_("You left “{name}”.", { name: detail.title }));
  else toast(detail.by ? _("{who} removed you from “{name}”.", { who: nameOf(detail.by), name: detail.title }) : _("You are no longer in “{name}”.", { name: detail.title }));
  if (view.active === detail.conv) location.hash = "";
});

window.addEventListener("online", networkChanged);
window.addEventListener("offline", networkChanged);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") {
    wire.wake();
    loadBlocks();
    changed();
  }
});
window.addEventListener("focus", () => seen());
window.addEventListener("hashchange", route);
setInterval(() => {
  if (document.visibilityState === "visible") changed();
  takeUnsent();
}, REPAINT_MS);

composer.people = () => mentionable(state.convs[view.active]);
composer.lookFor = (text) => lookForMembers(state.convs[view.active], text);
composer.addEventListener("compose", ({ detail }) => {
  // Who writes is back at the newest.
  dispatch({ type: "present", answered: detail.reply_to });
  send(detail.body, detail.reply_to, attached.take());
});
composer.addEventListener("draft", ({ detail }) => {
  setDraft(view.active, detail);
  const conv = view.active;
  withDrafts(({ written }) => written(conv));
});
events.addEventListener("draft", ({ detail }) => withDrafts(({ look }) => look(detail.conv)));
composer.addEventListener("typing", () => wire.tell({ op: "typing", conv: view.active }));
messages.addEventListener("older", () => loadOlder(view.active));
messages.addEventListener("seen", seen);
messages.addEventListener("reload", () => (pastOf(state, view.active) || threadOf(state, view.active).loaded ? loadOlder : loadNewest)(view.active));
messages.addEventListener("retry", ({ detail }) => retry(detail.msg_id));
messages.addEventListener("discard", ({ detail }) => discard(detail.msg_id));
messages.addEventListener("newer", () => loadNewer(view.active));
messages.addEventListener("present", () => dispatch({ type: "present" }));
messages.addEventListener("find", ({ detail }) => goTo(detail.server_id));
messages.addEventListener("look", ({ detail }) => {
  const at = detail.pictures.findIndex(({ info }) => info.id === detail.id);
  if (at >= 0) withElement("media-lightbox", (lightbox) => lightbox.open(detail.pictures, at));
});
messages.addEventListener("reply", ({ detail }) => reply(detail));
messages.addEventListener("react", ({ detail }) => change("react", detail.message, { emoji: detail.emoji, on: detail.on }));
messages.addEventListener("menu", ({ detail }) => {
  const mine = (detail.message.reactions ?? []).filter((one) => one.mine).map((one) => one.emoji);
  withElement("message-menu", (opened) => opened.open({ ...detail, mine }));
});
menu.addEventListener("reply", ({ detail }) => reply(detail.message));
menu.addEventListener("react", ({ detail }) => change("react", detail.message, { emoji: detail.emoji, on: detail.on }));
list.addEventListener("menu", ({ detail }) => openRowMenu(detail));
for (const [name, act] of Object.entries(ROW_ACTS)) rowMenu.addEventListener(name, ({ detail }) => act(detail.message).catch((error) => toast(error.message)));
$("archive").addEventListener("click", () => {
  view.archive = !view.archive;
  paintList();
});
menu.addEventListener("link", ({ detail }) => copyLink(detail.message));
menu.addEventListener("profile", ({ detail }) => withPeople(({ openProfile }) => openProfile(detail.message.from)));
// By a click on the name or the face as well.
messages.addEventListener("click", ({ target }) => {
  const row = target.closest(".author, .message > .avatar")?.closest(".message");
  const from = row && messageOf(row)?.from;
  if (from) withPeople(({ openProfile }) => openProfile(from));
});
menu.addEventListener("details", ({ detail }) => openDetails(detail.message).catch(failed));
messages.addEventListener("day", ({ detail }) => goToDay(detail.ts).catch(failed));
$("emoji").addEventListener("click", () => openEmoji().catch(failed));
menu.addEventListener("pin", ({ detail }) => change("pin", detail.message, { on: true }));
menu.addEventListener("unpin", ({ detail }) => change("pin", detail.message, { on: false }));
pinnedBar.addEventListener("find", ({ detail }) => goTo(detail.server_id));
pinnedBar.addEventListener("unpin", ({ detail }) => change("pin", { conv: view.active, server_id: detail.server_id }, { on: false }));
menu.addEventListener("edit", ({ detail }) => composer.edit({ server_id: detail.message.server_id, text: detail.message.body }));
menu.addEventListener("copy", ({ detail }) => copy(detail.message));
menu.addEventListener("forward", ({ detail }) => withPeople(({ forwardFrom }) => forwardFrom(detail.messages ?? [detail.message])));
menu.addEventListener("report", ({ detail }) => withPeople(({ reportMessage }) => reportMessage(detail.message)));
for (const one of [menu, messages]) one.addEventListener("appeal", ({ detail }) => withPeople(({ appeal }) => appeal(detail.message)));
menu.addEventListener("delete", ({ detail }) => remove(detail.message));
composer.addEventListener("edit-last", editLast);
composer.addEventListener("edited", ({ detail }) => {
  const message = found(detail.server_id);
  if (message && !message.deleted && !message.withheld) change("edit", message, { body: detail.body, mentions: mentionsOfText(state.convs[message.conv], detail.body) });
});
list.addEventListener("find-people", ({ detail }) => newChat(detail));
$("new-chat").addEventListener("click", () => newChat());
$("welcome-new").addEventListener("click", () => newChat());
$("new-group").addEventListener("click", newGroup);
$("search-messages").addEventListener("click", () => openSearch(null, $("search").value.trim()));
$("thread-search").addEventListener("click", () => openSearch(view.active));
for (const one of ["thread-info", "thread-who"]) $(one).addEventListener("click", () => withPeople(({ openInfo }) => openInfo()));
$("notice-act").addEventListener("click", () => setBlocked(state.convs[view.active].peer.id, false).catch(failed));
$("back").addEventListener("click", () => {
  location.hash = "";
});
$("search").addEventListener("input", paintList);
$("search").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") {
    event.preventDefault();
    list.focusOn(null);
  } else if (event.key === "Enter") {
    list.querySelector(".conversation")?.click();
  }
});
$("sign-out").addEventListener("submit", (event) => {
  event.preventDefault();
  $("menu").open = false;
  signOut(event.target);
});

// --- keys --------------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  if (!$("menu").contains(event.target)) $("menu").open = false;
});
/** What the keys do is not in the way of the first picture, and comes right after it. */
let press = null;
const withKeys = () => import("./keys.js").then((keys) => (press = keys.serve({ escape })));
document.addEventListener("keydown", (event) => (press ? press(event) : withKeys().then(() => press(event), () => {})));
$("shortcuts").addEventListener("click", () => {
  $("menu").open = false;
  import("./keys.js").then((keys) => keys.openSheet()).catch(failed);
});

/** Escape closes what is uppermost. */
function escape() {
  if (callOff()) return;
  if ($("menu").open) {
    $("menu").open = false;
    $("menu").querySelector("summary").focus();
  } else if ($("search").value) {
    $("search").value = "";
    paintList();
  } else if (view.active) location.hash = "";
}

// --- fingers -----------------------------------------------------------------------------------------

if (matchMedia("(hover: none)").matches) {
  const answer = (node) => {
    const message = messageOf(node);
    if (message?.server_id && !message.deleted && !message.withheld) reply(message);
  };
  import("./swipe.js").then(({ serve }) => serve(messages, answer), () => {});
}

// --- start -------------------------------------------------------------------------------------------

async function start() {
  paintAvatar($("my-avatar"), me.id, me.display_name, false, me.picture);
  if (/Mac|iPhone|iPad/u.test(navigator.platform)) document.querySelectorAll("kbd").forEach((key) => (key.textContent = key.textContent.replace("Ctrl ", "⌘").replace("Alt ", "⌥")));
  try {
    await openDatabase();
    view.drafts = database.drafts();
    takeAside();
    await restore(location.hash.slice(1).split("/")[0]);
  } catch {
    toast(_("This browser keeps nothing between visits: unsent messages are lost on reload."));
  }
  landmark();
  route();
  paint();
  if (sessionStorage.getItem("chat-begun")) import("./update.js").then(({ resume }) => resume(), () => {});
  // What is said now comes to what was kept.
  await restoreOthers();
  wire.connect();
  loadConversations();
  withKeys().catch(() => {});
  loadLater();
}

start();
