/**
 * The service worker's second part: shows pushes while no page is open, takes them back once they were read elsewhere, and
 * opens the conversation on a click. It keeps nothing.
 *
 * A classic script: not every browser takes a module here. The server sends all parts as one (`/worker.js`).
 */

const ICON = "/static/images/icon.svg";

/** A string that sorts as the messages of one conversation do; see ids.js. */
function orderKey(serverId) {
  const text = serverId.slice(2).replaceAll("-", "+").replaceAll("_", "/");
  const raw = atob(text.padEnd(Math.ceil(text.length / 4) * 4, "="));
  return [...raw.slice(-8)].map((char) => char.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}

async function setBadge(count) {
  if (!("setAppBadge" in self.navigator)) return;
  // Only an installed app has one.
  await (count ? self.navigator.setAppBadge(count) : self.navigator.clearAppBadge()).catch(() => undefined);
}

/** Whether somebody looks at the page right now: they see the message there. */
async function isWatched() {
  const pages = await self.clients.matchAll({ type: "window" });
  return pages.some((page) => page.focused && page.visibilityState === "visible" && new URL(page.url).pathname === "/");
}

async function takeBack({ conv, read }) {
  for (const shown of await self.registration.getNotifications({ tag: conv })) {
    if (shown.data?.server_id && orderKey(shown.data.server_id) <= orderKey(read)) shown.close();
  }
}

/** What is shown of a message says something else by now, without a sound; what is not shown stays away. */
async function replace(push) {
  const shown = await self.registration.getNotifications({ tag: push.tag });
  if (shown.some((one) => one.data?.server_id === push.replaces)) await show(push, { renotify: false, silent: true });
}

function show(push, how) {
  const data = { conv: push.conv ?? null, server_id: push.server_id ?? null };
  return self.registration.showNotification(push.title, { body: push.body, tag: push.tag, icon: ICON, badge: ICON, data, ...how });
}

async function receive(push) {
  await setBadge(push.badge ?? 0);
  if (push.read) return takeBack(push);
  if (push.replaces) return replace(push);
  // That a scheduled message failed is seen in its own conversation only, which may not be the open one.
  if (!push.title || (push.conv && !push.scheduled && (await isWatched()))) return undefined;
  // The tag replaces the conversation's last one; it should be heard all the same.
  return show(push, { renotify: true });
}

async function open(conv) {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = pages.find((one) => new URL(one.url).pathname === "/");
  if (!page) return self.clients.openWindow(conv ? `/#${conv}` : "/");
  if (conv) page.postMessage({ type: "open", conv });
  return page.focus();
}

self.addEventListener("push", (event) => {
  let push = null;
  try {
    push = event.data?.json() ?? null;
  } catch {
    // Not one of ours.
  }
  if (push) event.waitUntil(receive(push));
});
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.conv ?? null));
});
