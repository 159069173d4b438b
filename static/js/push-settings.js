/** The section "Notifications" of the settings. */
import * as api from "./api-more.js";
import { _ } from "./i18n.js";
import * as push from "./push.js";

const section = document.getElementById("notifications-section");
const { user } = section.dataset;
const part = (name) => section.querySelector(`[name="${name}"], [data-part="${name}"]`);
const form = section.querySelector("form");

let settings = null;

function say(text, failed = false) {
  const node = part("status");
  node.textContent = text;
  node.toggleAttribute("data-failed", failed);
}

function showBrowser(subscription) {
  const offered = push.isSupported() && settings.vapid_key;
  const refused = push.permission() === "denied";
  // Who has said no is not asked again by the browser: the way back is in its own settings.
  part("on").hidden = !offered || refused || Boolean(subscription);
  part("off").hidden = part("test").hidden = !subscription;
  let text = _("This browser shows notifications.");
  if (!push.isSupported()) text = _("This browser cannot show notifications.");
  else if (!settings.vapid_key) text = _("This server sends no notifications to browsers.");
  else if (refused) text = _("You refused notifications of this site. To have them, allow them in the browser's settings for this address, and reload this page.");
  else if (!subscription) text = _("This browser shows no notifications.");
  else if (subscription.last_error) text = _("The last notification did not arrive ({reason}).", { reason: subscription.last_error });
  part("browser").textContent = text;
}

function showSettings() {
  for (const name of ["enabled", "mentions_override_mute", "email_summary"]) part(name).checked = settings[name];
  part("content").value = settings.content;
  part("quiet").checked = settings.quiet_from !== null;
  part("quiet_from").value = settings.quiet_from ?? "22:00";
  part("quiet_until").value = settings.quiet_until ?? "07:00";
  showQuiet();
}

function showQuiet() {
  part("quiet-hours").hidden = !part("quiet").checked;
}

function wanted() {
  const quiet = part("quiet").checked;
  return {
    enabled: part("enabled").checked,
    content: part("content").value,
    mentions_override_mute: part("mentions_override_mute").checked,
    email_summary: part("email_summary").checked,
    quiet_from: quiet ? part("quiet_from").value : null,
    quiet_until: quiet ? part("quiet_until").value : null,
    // Quiet hours are meant by the clock on this wall.
    time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  };
}

/** Do what a button says; its failure is a sentence on the page. */
async function act(button, work, done) {
  button.disabled = true;
  say("");
  try {
    await work();
    say(done);
  } catch (error) {
    say(error.message, true);
  } finally {
    button.disabled = false;
  }
}

part("on").addEventListener("click", ({ currentTarget }) =>
  act(currentTarget, async () => {
    await push.enable(user, settings.vapid_key);
    showBrowser(await push.status(user));
    part("off").focus();
  }, _("Notifications are on.")),
);
part("off").addEventListener("click", ({ currentTarget }) =>
  act(currentTarget, async () => {
    await push.disable();
    showBrowser(null);
    part("on").focus();
  }, _("Notifications are off.")),
);
part("test").addEventListener("click", ({ currentTarget }) => act(currentTarget, push.test, _("On its way: it should appear in a moment.")));
part("quiet").addEventListener("change", showQuiet);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  act(event.submitter, async () => {
    settings = await api.changePushSettings(wanted());
    showSettings();
  }, _("Saved."));
});

try {
  settings = await api.pushSettings();
  showSettings();
  showBrowser(await push.status(user));
  section.removeAttribute("aria-busy");
} catch (error) {
  say(error.message, true);
}
