/**
 * The service worker's first part: it keeps the page, so that the chat starts without a connection, and one version of it
 * (docs/decisions/0072). `SHELL` comes before it: {version, files}. Of what people wrote it keeps nothing.
 */

const FILES = `chat-shell-${SHELL.version}`;
/** The page itself is one user's: whoever signs in or out deletes it. */
const PAGE = "chat-page";
/** Says in `PAGE` that a page of another version had to be shown: its files are the server's. */
const OTHER = "/other-version";
const PATIENCE_MS = 700;
const VERSION_HEADER = "Chat-Shell";

const versionOf = (response) => response?.headers.get(VERSION_HEADER);

async function digest(response) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", await response.arrayBuffer()));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Keep a file as this version has it: from what an older version kept, or from the server. Throws where it has another. */
async function keep(cache, [path, wanted]) {
  const held = await caches.match(path);
  if (held && (await digest(held.clone())) === wanted) return cache.put(path, held);
  // Half of it the page has just loaded. What the browser kept of another version is asked for anew.
  for (const mode of ["default", "no-cache"]) {
    const response = await fetch(path, { cache: mode });
    if (response.ok && (await digest(response.clone())) === wanted) return cache.put(path, response);
  }
  throw new Error(path);
}

async function install() {
  const cache = await caches.open(FILES);
  await Promise.all(Object.entries(SHELL.files).map((file) => keep(cache, file)));
}

async function activate() {
  for (const name of await caches.keys()) if (name.startsWith("chat-shell-") && name !== FILES) await caches.delete(name);
  await caches.delete(PAGE);
  await self.clients.claim();
  // For the next start, which may be without a connection.
  await fetch("/", { redirect: "manual" }).then(take, () => undefined);
}

/** Keep a page from the server, if it is one that fits the files; return what to show. */
async function take(response) {
  const cache = await caches.open(PAGE);
  if (response.type === "opaqueredirect" || response.status === 401 || response.status === 403) {
    // Nobody is signed in.
    await caches.delete(PAGE);
    return response;
  }
  const kept = await cache.match("/");
  if (response.status >= 500) return kept ?? response;
  if (versionOf(response) === SHELL.version) {
    await cache.put("/", response.clone());
    await cache.delete(OTHER);
    return response;
  }
  self.registration.update().catch(() => undefined);
  if (versionOf(kept) === SHELL.version && !(await makeWay())) return kept;
  await cache.put(OTHER, new Response());
  return response;
}

/** Let a version that waits take over where no other page is open that it would pull the files away from. */
async function makeWay() {
  const { waiting } = self.registration;
  const pages = await self.clients.matchAll({ type: "window" });
  if (!waiting || pages.length > 1) return false;
  waiting.postMessage({ type: "take-over" });
  return true;
}

/** Show the page: the server's, or, where that is slow or not there, the one that is kept. */
async function page(event) {
  const kept = await caches.match("/", { cacheName: PAGE });
  const asked = fetch(event.request).then(take);
  if (!kept) return asked;
  event.waitUntil(asked.catch(() => undefined));
  const slow = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, kept.clone()));
  return Promise.race([asked.catch(() => kept), slow]);
}

async function file(request, path) {
  if (await caches.match(OTHER, { cacheName: PAGE })) return fetch(request);
  return (await caches.match(path, { cacheName: FILES })) ?? fetch(request);
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("message", (event) => {
  if (event.data?.type === "take-over") event.waitUntil(self.skipWaiting());
});
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname, search } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin || search) return;
  if (request.mode === "navigate" && pathname === "/") event.respondWith(page(event));
  else if (Object.hasOwn(SHELL.files, pathname)) event.respondWith(file(request, pathname));
});
