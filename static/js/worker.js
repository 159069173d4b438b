/** The service worker of this site: it keeps the page, and shows pushes. */

const SCRIPT = "/worker.js";
/** The app's page takes no string for a script's address, only what this policy makes, and it makes one. */
const trusted = globalThis.trustedTypes?.createPolicy("chat-worker", { createScriptURL: () => SCRIPT });

export const isSupported = () => "serviceWorker" in navigator;

/** Register it; resolves to its registration. Throws where the browser does not let it. */
export const register = () => navigator.serviceWorker.register(trusted?.createScriptURL(SCRIPT) ?? SCRIPT, { scope: "/" });
