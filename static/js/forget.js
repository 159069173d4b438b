/** On the page for signing in: nobody is signed in here, so what the last one read does not stay in this browser. */
import { Database } from "./db.js";

for (const user of await Database.users()) {
  const database = await Database.open(user);
  await database.forget();
}
