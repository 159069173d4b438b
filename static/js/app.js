/** Starts the client and ties the pieces together: addresses, keys and buttons to what they do. */
import { discard, groupActs, retry, send, startConversation } from "./acts.js";
import { paintAvatar } from "./dom.js";
import { database, dispatch, me, onChange, openDatabase, root, state, view } from "./model.js";
import { $, banner, composer, info, list, listed, messages, paint, paintConnection, paintList, people, seen, toast } from "./page.js";
import { events, fetchConversation, loadConversations, loadNewest, loadOlder, openThread, wire } from "./sync.js";

const login = () => location.assign(`${root.dataset.loginUrl}?next=/`);

// --- which conversation ------------------------------------------------------------------------------

function route() {
  const id = location.hash.slice(1) || null;
  if (id === view.active) return;
  view.active = id;
  root.dataset.view = id ? "thread" : "list";
  if (id) {
    const conv = state.convs[id];
    view.lineAfter = conv?.unread_count ? (conv.last_read ?? "") : null;
    composer.open(id);
    if (!conv && state.listLoaded) fetchConversation(id).then(() => state.convs[id] || (location.hash = ""));
    openThread(id);
    if (matchMedia("(width >= 700px) and (hover: hover)").matches) composer.focus();
  }
  paint();
}

// --- dialogs -----------------------------------------------------------------------------------------

const newChat = () => people.open("chat", { exclude: [me.id], finish: ({ users }) => startConversation({ type: "dm", members: users }) });
const newGroup = () =>
  people.open("group", { exclude: [me.id], finish: ({ users, name }) => startConversation({ type: "group", members: users, name }) });

function openInfo() {
  const conv = state.convs[view.active];
  if (conv?.type !== "group") return;
  const acts = groupActs(conv.id, (now) => info.show(now, me.id));
  const add = () => people.open("add", { exclude: (state.convs[conv.id].members ?? []).map((one) => one.id), finish: ({ users }) => acts.add(users) });
  info.open(conv, me.id, { ...acts, add });
}

// --- wiring ------------------------------------------------------------------------------------------

onChange(paint);
events.addEventListener("ready", ({ detail }) => {
  composer.maxBytes = detail.max_body_bytes;
});
events.addEventListener("connection", ({ detail }) => paintConnection(detail));
events.addEventListener("listed", listed);
events.addEventListener("signed-out", login);
events.addEventListener("broken", () => banner("This page no longer fits the server. Reload it.", true));
events.addEventListener("gone", ({ detail }) => {
  if (view.active !== detail.conv) return;
  info.close();
  location.hash = "";
  toast("You are no longer in this conversation.");
});

window.addEventListener("online", () => wire.wake());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") {
    wire.wake();
    seen();
  }
});
window.addEventListener("focus", () => seen());
window.addEventListener("hashchange", route);

composer.addEventListener("compose", (event) => send(event.detail.body));
composer.addEventListener("typing", () => wire.tell({ op: "typing", conv: view.active }));
messages.addEventListener("older", () => loadOlder(view.active));
messages.addEventListener("seen", seen);
messages.addEventListener("reload", () => loadNewest(view.active));
messages.addEventListener("retry", (event) => retry(event.detail.msg_id));
messages.addEventListener("discard", (event) => discard(event.detail.msg_id));
$("new-chat").addEventListener("click", newChat);
$("welcome-new").addEventListener("click", newChat);
$("new-group").addEventListener("click", newGroup);
$("thread-info").addEventListener("click", openInfo);
$("thread-who").addEventListener("click", openInfo);
$("back").addEventListener("click", () => {
  location.hash = "";
});
$("search").addEventListener("input", paintList);
$("search").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") {
    event.preventDefault();
    list.focusFirst();
  } else if (event.key === "Enter") {
    list.querySelector(".conversation")?.click();
  }
});
document.addEventListener("click", (event) => {
  if (!$("menu").contains(event.target)) $("menu").open = false;
});
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    if (root.dataset.view === "thread" && matchMedia("(width < 700px)").matches) location.hash = "";
    $("search").focus();
    $("search").select();
  } else if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    if ($("menu").open) $("menu").open = false;
    else if ($("search").value) {
      $("search").value = "";
      paintList();
    } else if (view.active) location.hash = "";
  }
});
$("sign-out").addEventListener("submit", async (event) => {
  event.preventDefault();
  wire.stop();
  await database?.destroy().catch(() => {});
  event.target.submit();
});

async function start() {
  paintAvatar($("my-avatar"), me.id, me.display_name);
  if (/Mac|iPhone|iPad/u.test(navigator.platform)) document.querySelectorAll("kbd").forEach((key) => (key.textContent = key.textContent.replace("Ctrl ", "⌘")));
  try {
    await openDatabase();
    dispatch({ type: "cached", ...(await database.snapshot()) });
    for (const message of await database.outbox()) {
      dispatch({ type: "queue", message });
      wire.deliver(message);
    }
  } catch {
    toast("This browser keeps nothing between visits: unsent messages are lost on reload.");
  }
  route();
  paint();
  wire.connect();
  loadConversations();
}

start();
