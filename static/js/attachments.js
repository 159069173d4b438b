/** The files in a bubble: pictures and films to look at, sounds to play, all else to save. */
import { el, hidden, icon } from "./dom.js";
import { bytes, minutes } from "./format.js";
import { _ } from "./i18n.js";
import { contentOf, downloadOf, thumbnailOf } from "./media.js";
import { follow, seek, stateOf, toggle } from "./player.js";

/** The longest sides of a picture in a bubble, in CSS pixels. */
const WIDE = 320;
const HIGH = 340;
const LEAST = 72;

/** Return the files of a message. `emit("look", {key, id})` asks for a picture in full. */
export function attachments(key, message, infos, emit) {
  const pictures = infos.filter((one) => one.kind === "image");
  const others = infos.filter((one) => one.kind !== "image");
  return el(
    "div",
    { className: "attachments" },
    pictures.length ? el("div", { className: pictures.length > 1 ? "pictures several" : "pictures" }, ...pictures.map((one) => picture(key, message, one, pictures.length > 1, emit))) : null,
    ...others.map((one) => other(message, one)),
  );
}

function other(message, info) {
  switch (info.kind) {
    case "video":
      return video(message, info);
    case "audio":
    case "voice":
      return sound(message, info);
    case "file":
      return card(message, info);
    default:
      // Not described yet, or no longer there.
      return el("div", { className: "file unknown" }, icon("file"), el("span", {}, _("Attachment")));
  }
}

function picture(key, message, info, square, emit) {
  const image = el("img", { alt: info.name, loading: "lazy", decoding: "async", draggable: false });
  const frame = el("button", { className: "picture", type: "button", title: _("Look at it"), "aria-label": _("Photo {name}: look at it", { name: info.name }), onclick: () => emit("look", { key, id: info.id }) }, blurred(info), image);
  if (!square && info.width && info.height) {
    const scale = Math.min(WIDE / info.width, HIGH / info.height, 1);
    frame.style.inlineSize = `${Math.max(LEAST, Math.round(info.width * scale))}px`;
    frame.style.aspectRatio = `${info.width} / ${Math.max(info.height, Math.round(info.width / 4))}`;
  }
  image.addEventListener("load", () => frame.classList.add("loaded"));
  image.addEventListener("error", () => {
    frame.classList.add("broken");
    frame.title = _("This picture could not be loaded.");
  });
  image.src = thumbnailOf(info, message);
  // From the browser's cache it is there at once.
  if (image.complete && image.naturalWidth) frame.classList.add("loaded");
  return frame;
}

function blurred(info) {
  return info.preview ? el("img", { className: "preview", src: info.preview, alt: "", "aria-hidden": "true" }) : null;
}

function video(message, info) {
  // Its beginning is asked for, no more, until somebody plays it.
  const player = el("video", { className: "film", controls: true, preload: "metadata", playsInline: true, src: contentOf(info, message), "aria-label": info.name });
  player.addEventListener("error", () => player.replaceWith(card(message, info)), { once: true });
  return player;
}

function sound(message, info) {
  const voice = info.kind === "voice";
  const button = el("button", { className: "play", type: "button", onclick: () => toggle(info.id, contentOf(info, message)) });
  const line = el("input", { type: "range", min: "0", step: "0.1", "aria-label": _("Position"), oninput: () => seek(info.id, Number(line.value)) });
  const time = el("span", { className: "time" });
  const node = el("div", { className: "sound", role: "group", "aria-label": voice ? _("Voice note") : info.name }, button, el("div", { className: "sound-text" }, voice ? null : el("span", { className: "file-name", dir: "auto" }, info.name), line), time);
  let shown = null;
  follow(node, () => {
    const now = stateOf(info.id);
    const length = now.length ?? (info.duration_ms ?? 0) / 1_000;
    line.max = String(Math.max(length, now.at, 0.1));
    line.value = String(now.at);
    time.textContent = now.failed ? _("Cannot be played") : minutes(now.at || length);
    if (shown === now.playing) return;
    shown = now.playing;
    button.replaceChildren(icon(now.playing ? "pause" : "play"));
    button.setAttribute("aria-label", now.playing ? _("Pause") : voice ? _("Play voice note") : _("Play {name}", { name: info.name }));
  });
  return node;
}

function card(message, info) {
  return el(
    "a",
    { className: "file", href: downloadOf(info, message), download: info.name, title: _("Save {name}", { name: info.name }) },
    icon("file"),
    el("span", { className: "file-text" }, el("span", { className: "file-name", dir: "auto" }, info.name), el("small", {}, bytes(info.size))),
    icon("save"),
    hidden(_("Save")),
  );
}
