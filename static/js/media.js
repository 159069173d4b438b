/** What is known of the files of messages. What is not known yet is asked for, many messages at once. */
import * as api from "./api.js";
import { _, n } from "./i18n.js";
import { changed } from "./model.js";

const PAUSE_MS = 30;
const AT_ONCE = 50;
/** A message whose files could not be described is asked about again after this. */
const AGAIN_MS = 5_000;

/** Id -> what the server says of the file, and `local`: an address of this page's own copy. */
const known = new Map();
/** Messages that were asked about, with when. */
const asked = new Map();
let wanted = new Set();
let timer = null;

/** Keep what an upload of one's own came to. */
export function remember(info, file) {
  known.set(info.id, { ...info, local: URL.createObjectURL(file) });
}

/** Return the files of a message, in order; of one that is not known only its id. */
export function mediaOf(message) {
  const ids = message.media ?? [];
  if (message.server_id && ids.some((id) => !known.has(id))) ask(message.server_id);
  return ids.map((id) => known.get(id) ?? { id });
}

function ask(serverId) {
  if (Date.now() - (asked.get(serverId) ?? -Infinity) < AGAIN_MS) return;
  asked.set(serverId, Date.now());
  wanted.add(serverId);
  timer ??= setTimeout(describe, PAUSE_MS);
}

async function describe() {
  timer = null;
  const all = [...wanted];
  wanted = new Set();
  for (let at = 0; at < all.length; at += AT_ONCE) {
    try {
      const { results } = await api.describeMedia(all.slice(at, at + AT_ONCE));
      for (const info of results) known.set(info.id, { ...known.get(info.id), ...info });
      changed();
    } catch {
      // The next painting asks again.
    }
  }
}

const address = (info, message, part) => `/v1/media/${info.id}/${part}${message.server_id ? `?message=${message.server_id}` : ""}`;

/** Where the browser gets a file as part of a message; one's own from this page, while it is open. */
export const contentOf = (info, message) => info.local ?? address(info, message, "content");
export const thumbnailOf = (info, message) => info.local ?? address(info, message, "thumbnail");
/** Where it is saved from. */
export const downloadOf = (info, message) => address(info, message, "content");

const ONE = { image: _("Photo"), video: _("Video"), audio: _("Audio"), voice: _("Voice note"), file: _("File") };
const SEVERAL = {
  image: (count) => n("{count} photo", "{count} photos", count),
  video: (count) => n("{count} video", "{count} videos", count),
  audio: (count) => n("{count} audio file", "{count} audio files", count),
  voice: (count) => n("{count} voice note", "{count} voice notes", count),
  file: (count) => n("{count} file", "{count} files", count),
};

/** Return files in words: "Photo", "3 photos", a file's name; null for none. */
export function wordsFor(infos) {
  if (!infos.length) return null;
  const kinds = new Set(infos.map((one) => one.kind));
  const [kind] = kinds;
  if (kinds.size > 1 || !ONE[kind]) return infos.length > 1 ? n("{count} attachment", "{count} attachments", infos.length) : _("Attachment");
  if (infos.length > 1) return SEVERAL[kind](infos.length);
  return kind === "file" || kind === "audio" ? infos[0].name : ONE[kind];
}
