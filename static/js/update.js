/** New versions of the page: the service worker has one ready, the page says so, and whoever uses it says when. */
import { el } from "./dom.js";
import { _ } from "./i18n.js";
import { me, view } from "./model.js";
import { $, composer } from "./page.js";
import { events } from "./sync.js";
import { isSupported, register } from "./worker.js";

/** A page that comes back asks the server for a new version, and no more often than this. */
const ASK_MS = 30 * 60_000;
/** Where nothing takes over within this, the page is loaded anew all the same. */
const TAKES_MS = 5_000;
const BEGUN = "chat-begun";

let shown = false;
let leaving = false;

/** Register the worker, which keeps the page for a start without a connection, and look after new versions. */
export async function begin() {
  if (!isSupported()) return;
  const registration = await register();
  let asked = Date.now();
  const ask = () => {
    asked = Date.now();
    registration.update().catch(() => {});
  };
  const tell = () => show(registration);
  // The first worker of all comes to a page that had none: that is no new version.
  let had = Boolean(navigator.serviceWorker.controller);
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    if (leaving) location.reload();
    else if (had) tell();
    had = true;
  });
  registration.addEventListener("updatefound", () => {
    const { installing } = registration;
    installing?.addEventListener("statechange", () => installing.state === "installed" && had && tell());
  });
  if (registration.waiting && had) tell();
  // The server was started anew, perhaps with a new version.
  events.addEventListener("ready", ask);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && Date.now() - asked > ASK_MS && ask());
}

function show(registration) {
  if (shown) return;
  shown = true;
  const button = el("button", { className: "link", type: "button", onclick: () => reload(registration) }, _("Reload"));
  $("toasts").append(el("div", { className: "toast update" }, _("A new version is ready."), " ", button));
}

/** Load the page anew; what is begun is there again afterwards. */
function reload(registration) {
  if (view.active) sessionStorage.setItem(BEGUN, JSON.stringify({ user: me.id, conv: view.active, ...composer.begun }));
  leaving = true;
  if (registration.waiting) registration.waiting.postMessage({ type: "take-over" });
  else location.reload();
  setTimeout(() => location.reload(), TAKES_MS);
}

/** Go on with what was begun when the page was loaded anew. Drafts are there by themselves: this is what is answered or edited. */
export function resume() {
  const begun = JSON.parse(sessionStorage.getItem(BEGUN));
  sessionStorage.removeItem(BEGUN);
  if (begun?.user === me.id && begun.conv === view.active && !composer.hidden) composer.resume(begun);
}
