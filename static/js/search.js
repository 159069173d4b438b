/** The search for messages, loaded when it is opened first: its dialog, its style, and what its rows say. */
import * as api from "./api-more.js";
import { style } from "./dom.js";
import "./elements/search-dialog.js";
import { _ } from "./i18n.js";
import { mediaOf, wordsFor } from "./media.js";
import { me, state } from "./model.js";
import { faceOf, nameOf, pictureOf, titleOf } from "./names.js";
import { fetchConversation } from "./sync.js";

const dialog = document.querySelector("search-dialog");

await Promise.all([style("dialogs"), style("search")]);

const asked = new Set();

/** Who and where a result is. A conversation that is not known here is asked for once. */
function describe(hit) {
  const conv = state.convs[hit.conv];
  if (!conv && !asked.has(hit.conv)) {
    asked.add(hit.conv);
    fetchConversation(hit.conv);
  }
  const mine = hit.from === me.id;
  const author = mine ? _("You") : conv?.type === "dm" ? null : nameOf(hit.from);
  return { face: conv ? faceOf(conv) : hit.conv, picture: conv && pictureOf(conv), title: conv ? titleOf(conv) : "…", author, files: wordsFor(mediaOf(hit)) };
}

/** Open it for a conversation, or, without one, for all; `pick(hit)` goes to a result. */
export function open(id, text, pick) {
  const conv = state.convs[id];
  const here = conv && !conv.encrypted ? { id, name: titleOf(conv) } : null;
  dialog.open({ text, here, look: api.search, describe, pick });
}

/** Say what is known by now of the conversations and people of what was found. */
export const refresh = () => dialog.refresh();
