/**
 * Ways by which files get to a message: a button, a drop on the thread, the clipboard, the microphone. The tray that shows
 * them is loaded with the first file.
 */
import { $, composer, summon, toast } from "./page.js";

export const recorder = document.querySelector("voice-recorder");

const thread = $("thread");
const input = $("files");
let depth = 0;
let conversation = null;
let limits = {};
/** The tray, once it is there. */
let tray = null;

async function withTray() {
  const loaded = await summon("attachment-tray");
  if (tray) return tray;
  tray = Object.assign(loaded, limits);
  tray.open(conversation);
  tray.addEventListener("change", () => {
    composer.attached = { count: tray.count, waiting: tray.waiting };
  });
  tray.addEventListener("removed", () => composer.focus());
  return tray;
}

/** What waits to go with the next message of each conversation. */
export const attached = {
  /** Show those of a conversation. */
  open(conv) {
    conversation = conv;
    tray?.open(conv);
  },
  /** The references of the open conversation's. */
  get ids() {
    return tray?.ids ?? [];
  },
  /** The same, and they are a message's from now on. */
  take: () => tray?.take() ?? [],
  /** There may be a connection again. `max`: how many go with a message; `maxBytes`: how large one may be. */
  ready(allowed) {
    limits = allowed;
    if (!tray) return;
    Object.assign(tray, limits);
    tray.wake();
  },
};

/** May files be added now? */
const open = () => !thread.hidden && !composer.hidden;

async function add(list, more) {
  // What a field or a drop holds is gone once it was let go of.
  const chosen = [...list];
  if (!chosen.length || !open()) return;
  const conv = conversation;
  try {
    await withTray();
  } catch (error) {
    toast(error.message);
    return;
  }
  // They belong to where they were added, whatever is open by now.
  const problem = tray.add(conv, chosen, more);
  if (problem) toast(problem);
  if (conv === conversation) composer.focus();
}

$("attach").addEventListener("click", () => input.click());
input.addEventListener("change", () => {
  add(input.files);
  // The same file can be chosen again.
  input.value = "";
});
recorder.addEventListener("recorded", ({ detail }) => add([detail.file], { voice: true, duration: detail.duration }));
recorder.addEventListener("refused", ({ detail }) => toast(detail));

composer.addEventListener("paste", (event) => {
  const files = event.clipboardData?.files ?? [];
  // Of a copied table there are a text and a picture of it: the text is meant.
  if (!files.length || event.clipboardData.types.includes("text/plain")) return;
  event.preventDefault();
  add(files);
});

const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");

thread.addEventListener("dragenter", (event) => {
  if (!carriesFiles(event) || !open()) return;
  event.preventDefault();
  depth += 1;
  $("drop").hidden = false;
});
thread.addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
thread.addEventListener("dragleave", (event) => {
  if (!carriesFiles(event) || !depth) return;
  depth -= 1;
  $("drop").hidden = depth === 0;
});
thread.addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  depth = 0;
  $("drop").hidden = true;
  add(event.dataTransfer.files);
});
// Beside the thread a dropped file would take the page's place.
for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => carriesFiles(event) && event.preventDefault());

window.addEventListener("beforeunload", (event) => tray?.any && event.preventDefault());
