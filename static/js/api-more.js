/** More of the REST side: what only dialogs and late parts of the page ask for. It has all of api.js as well. */
import { ApiError, ask, call, csrfToken, query } from "./api.js";

export * from "./api.js";

/** Send bytes to where the server says they go: to itself, or to an address that needs nothing of ours. */
export async function putPart(url, blob, signal) {
  const own = url.startsWith("/");
  const headers = own ? { "X-CSRFToken": csrfToken(), "Content-Type": "application/octet-stream" } : {};
  const response = await ask(url, { method: "PUT", headers, body: blob, signal, credentials: own ? "same-origin" : "omit" });
  if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => ({})));
}

export const rename = (id, name) => call("PATCH", `conversations/${id}`, { name });
export const search = (values) => call("GET", `search?${query(values)}`);
export const addMembers = (id, members) => call("POST", `conversations/${id}/members`, { members });
export const removeMember = (id, user) => call("DELETE", `conversations/${id}/members/${user}`);
export const setRole = (id, user, role) => call("PATCH", `conversations/${id}/members/${user}`, { role });
export const invites = (id) => call("GET", `conversations/${id}/invites`);
export const createInvite = (id, what) => call("POST", `conversations/${id}/invites`, what);
export const revokeInvite = (id, token) => call("DELETE", `conversations/${id}/invites/${token}`);
export const invitation = (token) => call("GET", `invites/${encodeURIComponent(token)}`);
export const acceptInvitation = (token) => call("POST", `invites/${encodeURIComponent(token)}`);
export const decideRequest = (id, user, accept) => call("POST", `conversations/${id}/requests/${user}`, { accept });
export const members = (id, cursor) => call("GET", `conversations/${id}/members?${query({ cursor, limit: "100" })}`);
export const mute = (id, until) => call("PUT", `conversations/${id}/mute`, { until });
export const setTimer = (id, timer_s) => call("PUT", `conversations/${id}/timer`, { timer_s });
export const users = (q) => call("GET", `users?${query({ q })}`);
export const profile = (id) => call("GET", `users/${id}/profile`);
export const report = (body) => call("POST", "reports", body);
export const appeal = (message, text) => call("POST", `messages/${message}/appeal`, { text });
export const beginMedia = (file) => call("POST", "media", file);
export const media = (id) => call("GET", `media/${id}`);
export const completeMedia = (id) => call("POST", `media/${id}/complete`);
export const cancelMedia = (id) => call("DELETE", `media/${id}`);
export const drafts = () => call("GET", "drafts");
export const draft = (id) => call("GET", `conversations/${id}/draft`);
export const keepDraft = (id, body) => call("PUT", `conversations/${id}/draft`, { body });
/** `of`: `me`, or `conversations/…` of a group. */
export const setPicture = (of, media) => call("PUT", `${of}/picture`, { media });
export const removePicture = (of) => call("DELETE", `${of}/picture`);
export const devices = () => call("GET", "devices");
export const push = (device) => call("GET", `devices/${device}/push`);
export const putPush = (device, subscription) => call("PUT", `devices/${device}/push`, subscription);
export const deletePush = (device) => call("DELETE", `devices/${device}/push`);
export const testPush = (device) => call("POST", `devices/${device}/push/test`);
export const pushSettings = () => call("GET", "me/push-settings");
export const changePushSettings = (changes) => call("PATCH", "me/push-settings", changes);
