/** The chat's side of notifications: keeps the subscription fresh, and opens what was clicked. */
import * as push from "./push.js";

const opened = () => location.hash.slice(1).split("/")[0];

function seen() {
  if (opened() && document.visibilityState === "visible") push.close(opened());
}

navigator.serviceWorker?.addEventListener("message", ({ data }) => {
  if (data?.type === "open") location.hash = data.conv;
});
addEventListener("hashchange", seen);
document.addEventListener("visibilitychange", seen);
seen();
// Not in the way of the first page: nothing here is urgent.
setTimeout(() => push.refresh(document.getElementById("app").dataset.user).catch(() => undefined), 3_000);
