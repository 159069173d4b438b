/** Asks the browser to have sent what waits here once there is a connection, also where no page is open by then: by outbox-worker.js. */
import { database, root } from "./model.js";
import { events } from "./sync.js";

async function ask() {
  if (root.dataset.connection === "online") return;
  const waiting = (await database?.outbox()) ?? [];
  if (!waiting.some((one) => !one.op && one.status !== "failed")) return;
  const registration = await navigator.serviceWorker?.getRegistration();
  await registration?.sync?.register("outbox");
}

/** Whoever cannot be asked, or does not want to, leaves it to the page, as ever. */
const asked = () => ask().catch(() => {});

export function begin() {
  events.addEventListener("connection", ({ detail }) => detail === "offline" && asked());
  events.addEventListener("waiting", asked);
  if (root.dataset.connection === "offline") asked();
}
