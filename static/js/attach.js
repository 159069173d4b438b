/** Ways by which files get to a message: a button, a drop on the thread, the clipboard, the microphone. */
import "./elements/attachment-tray.js";
import { $, composer, toast } from "./page.js";

export const tray = document.querySelector("attachment-tray");
export const recorder = document.querySelector("voice-recorder");

const thread = $("thread");
const input = $("files");
let depth = 0;

/** May files be added now? */
const open = () => !thread.hidden && !composer.hidden;

function add(files, more) {
  if (!files.length || !open()) return;
  const problem = tray.add([...files], more);
  if (problem) toast(problem);
  composer.focus();
}

$("attach").addEventListener("click", () => input.click());
input.addEventListener("change", () => {
  add(input.files);
  // The same file can be chosen again.
  input.value = "";
});
tray.addEventListener("change", () => {
  composer.attached = { count: tray.count, waiting: tray.waiting };
});
tray.addEventListener("removed", () => composer.focus());
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

window.addEventListener("beforeunload", (event) => tray.any && event.preventDefault());
