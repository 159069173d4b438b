/** The one sound of the page: a voice note goes on while its message is painted anew, and another one ends it. */

const audio = new Audio();
const watchers = new Set();
let current = null;

const tell = () => watchers.forEach((watch) => watch());
for (const name of ["play", "pause", "ended", "timeupdate", "durationchange", "error"]) audio.addEventListener(name, tell);

/** Return {playing, at, length, failed} of a sound, in seconds; `length` is null while it is not known. */
export function stateOf(id) {
  if (id !== current) return { playing: false, at: 0, length: null, failed: false };
  // A recording that was not finished properly has no length until it was played.
  const length = Number.isFinite(audio.duration) ? audio.duration : null;
  return { playing: !audio.paused && !audio.ended, at: audio.currentTime, length, failed: Boolean(audio.error) };
}

/** Play, or pause what plays. */
export function toggle(id, source) {
  if (id !== current) {
    current = id;
    audio.src = source;
  }
  if (audio.paused || audio.ended) audio.play().catch(tell);
  else audio.pause();
}

/** Go to a place, in seconds. */
export function seek(id, seconds) {
  if (id === current) audio.currentTime = seconds;
}

/** Have `watch` called at every change while `node` is on the page. */
export function follow(node, watch) {
  const guarded = () => {
    if (node.isConnected) watch();
    else watchers.delete(guarded);
  };
  watchers.add(guarded);
  watch();
}
