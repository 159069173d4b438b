/** One's own picture in the settings: chosen, changed, taken away. */
import * as api from "./api-more.js";
import { el, paintAvatar } from "./dom.js";
import { _ } from "./i18n.js";
import { uploadPicture } from "./uploads.js";

const section = document.getElementById("picture-section");
const { user, name } = section.dataset;
let { picture } = section.dataset;

const face = el("span", { className: "avatar", "aria-hidden": "true" });
const input = el("input", { type: "file", accept: "image/*", hidden: true });
const change = el("button", { className: "button quiet small", type: "button", onclick: () => input.click() });
const remove = el("button", { className: "button quiet small", type: "button" }, _("Remove picture"));
const said = el("p", { className: "said", "aria-live": "polite" });

function show() {
  paintAvatar(face, user, name, false, picture);
  change.textContent = picture ? _("Change picture") : _("Add picture");
  remove.hidden = !picture;
}

/** Do what a button says; `work` resolves to the picture from then on. Its failure is a sentence beside it. */
async function act(work, meanwhile = "") {
  change.disabled = remove.disabled = true;
  said.textContent = meanwhile;
  said.removeAttribute("data-failed");
  try {
    picture = await work();
    said.textContent = _("Saved.");
  } catch (error) {
    said.textContent = error.message;
    said.setAttribute("data-failed", "");
  }
  change.disabled = remove.disabled = false;
  show();
  // The button that was pressed may be gone.
  change.focus();
}

input.addEventListener("change", () => {
  const [file] = input.files;
  // The same file may be chosen once more.
  input.value = "";
  if (!file) return;
  act(async () => {
    const media = await uploadPicture(file, { api });
    await api.setPicture("me", media);
    return media;
  }, _("Uploading…"));
});
remove.addEventListener("click", () => act(() => api.removePicture("me")));

show();
section.append(face, el("div", {}, el("div", { className: "actions" }, change, remove), said), input);
