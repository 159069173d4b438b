/** The chat's side of notifications: keeps the subscription fresh, and opens what was clicked. */
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
