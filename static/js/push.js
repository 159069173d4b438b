/** Notifications of this browser: whether it can, subscribing and leaving, and what the server knows of it. */
import * as api from "./api-more.js";
import { _ } from "./i18n.js";
import { register } from "./worker.js";

/** Whose notifications this browser shows; who else signs in here has to ask for their own. */
const OWNER = "chat-push-user";

export const isSupported = () => "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

/** How the user has decided: "default" until asked. */
export const permission = () => (isSupported() ? Notification.permission : "denied");

const bytes = (text) => {
  const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/").padEnd(Math.ceil(text.length / 4) * 4, "="));
  return Uint8Array.from(raw, (char) => char.charCodeAt(0));
};

const sameKey = (subscription, key) => {
  const has = subscription.options?.applicationServerKey;
  return !has || bytes(key).every((byte, at) => new Uint8Array(has)[at] === byte);
};

async function registration() {
  await register();
  return navigator.serviceWorker.ready;
}

async function currentDevice() {
  const { results } = await api.devices();
  return results.find((device) => device.current)?.id ?? null;
}

async function tellServer(device, subscription) {
  const { endpoint, keys } = subscription.toJSON();
  return api.putPush(device, { provider: "webpush", endpoint, keys });
}

/** Return what the server knows of this browser: its subscription, or null. */
export async function status(user) {
  if (!isSupported() || permission() !== "granted" || localStorage.getItem(OWNER) !== user) return null;
  const device = await currentDevice();
  return device ? api.push(device).catch((error) => (error.status === 404 ? null : Promise.reject(error))) : null;
}

/**
 * Ask the user, subscribe, and tell the server. Call it from a click, or the browser does not ask.
 *
 * Throws an Error with a sentence for the user.
 */
export async function enable(user, key) {
  if ((await Notification.requestPermission()) !== "granted") {
    throw new Error(_("Notifications are blocked for this site. Allow them in the browser's settings."));
  }
  const worker = await registration();
  let subscription = await worker.pushManager.getSubscription();
  if (subscription && !sameKey(subscription, key)) {
    await subscription.unsubscribe();
    subscription = null;
  }
  try {
    subscription ??= await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key) });
  } catch {
    throw new Error(_("This browser cannot reach its push service. Try again later."));
  }
  await tellServer(await currentDevice(), subscription);
  localStorage.setItem(OWNER, user);
}

/** Leave: nothing is pushed to this browser any more. */
export async function disable() {
  localStorage.removeItem(OWNER);
  const device = await currentDevice();
  if (device) await api.deletePush(device);
  const worker = await navigator.serviceWorker.getRegistration("/");
  const subscription = await worker?.pushManager.getSubscription();
  await subscription?.unsubscribe();
}

/** Show a test notification: by the server and the push service, as a message would come. */
export async function test() {
  await api.testPush(await currentDevice());
}

/** Tell the server again: the browser may have a new address, or the user a new session, since the last time. */
export async function refresh(user) {
  if (!isSupported() || permission() !== "granted" || localStorage.getItem(OWNER) !== user) return;
  const worker = await registration();
  const subscription = await worker.pushManager.getSubscription();
  const device = subscription && (await currentDevice());
  if (device) await tellServer(device, subscription);
}

/** Close the notifications of a conversation that is on the screen. */
export async function close(conv) {
  if (!isSupported()) return;
  const worker = await navigator.serviceWorker.getRegistration("/");
  for (const shown of (await worker?.getNotifications({ tag: conv })) ?? []) shown.close();
}
