/** The chat's side of notifications: keeps the subscription fresh, and opens what was clicked. And the offer to be an app. */
let loading = null;
/** Its module: not in the way of the first page. */
const push = () => (loading ??= import("./push.js"));
const ignore = () => undefined;

const opened = () => location.hash.slice(1).split("/")[0];

function seen() {
  if (opened() && document.visibilityState === "visible") push().then((it) => it.close(opened())).catch(ignore);
}

navigator.serviceWorker?.addEventListener("message", ({ data }) => {
  if (data?.type === "open") location.hash = data.conv;
});
addEventListener("hashchange", seen);
document.addEventListener("visibilitychange", seen);
seen();
// Nothing here is urgent.
setTimeout(() => push().then((it) => it.refresh(document.getElementById("app").dataset.user)).catch(ignore), 3_000);

const install = document.getElementById("install");
let offer = null;
// The browser makes its offer when it likes, perhaps before anything else is loaded.
addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  offer = event;
  install.hidden = false;
});
addEventListener("appinstalled", () => (install.hidden = true));
install.addEventListener("click", async () => {
  document.getElementById("menu").open = false;
  await offer?.prompt();
  // One offer is good for one question.
  offer = null;
  install.hidden = true;
});
