/** On the page for signing in: nobody is signed in here, so what the last one read does not stay in this browser. */
import { Database } from "./db.js";

await globalThis.caches?.delete("chat-page");
for (const user of await Database.users()) {
  const database = await Database.open(user);
  await database.forget();
}
