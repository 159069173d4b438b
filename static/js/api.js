/** The REST side: JSON in and out, refusals as `ApiError`. */
import { _, refusal } from "./i18n.js";

/** Return the server's words as a sentence. */
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?…。؟]$/u.test(text) ? "" : ".");

export class ApiError extends Error {
  constructor(status, problem) {
    super(sentence(refusal(problem) || _("Something went wrong")));
    this.status = status;
    this.code = problem.code ?? "internal";
  }
}

export const csrfToken = () => /(?:^|; )(?:__Host-)?csrftoken=([^;]*)/.exec(document.cookie)?.[1] ?? "";

export async function call(method, path, body) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = csrfToken();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(`/v1/${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ApiError(0, { code: "offline", detail: _("No connection to the server.") });
  }
  if (response.status === 204) return null;
  const data = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(response.status, data);
  return data;
}

/** Send bytes to where the server says they go: to itself, or to an address that needs nothing of ours. */
export async function putPart(url, blob, signal) {
  const own = url.startsWith("/");
  const headers = own ? { "X-CSRFToken": csrfToken(), "Content-Type": "application/octet-stream" } : {};
  let response;
  try {
    response = await fetch(url, { method: "PUT", headers, body: blob, signal, credentials: own ? "same-origin" : "omit" });
  } catch {
    throw new ApiError(0, { code: "offline", detail: _("No connection to the server.") });
  }
  if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => ({})));
}

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();

export const conversations = (cursor) => call("GET", `conversations?${query({ cursor, limit: "100" })}`);
export const pinnedConversations = () => call("GET", "conversations?pinned=true");
export const conversation = (id) => call("GET", `conversations/${id}`);
export const createConversation = (body) => call("POST", "conversations", body);
export const rename = (id, name) => call("PATCH", `conversations/${id}`, { name });
export const history = (id, { before, after, limit = 50 } = {}) => call("GET", `conversations/${id}/messages?${query({ before, after, limit: String(limit) })}`);
export const message = (id) => call("GET", `messages/${id}`);
export const search = (values) => call("GET", `search?${query(values)}`);
export const pins = (id) => call("GET", `conversations/${id}/pins`);
export const since = (id, at) => call("GET", `conversations/${id}/since?${query({ at })}`);
export const addMembers = (id, members) => call("POST", `conversations/${id}/members`, { members });
export const removeMember = (id, user) => call("DELETE", `conversations/${id}/members/${user}`);
export const setRole = (id, user, role) => call("PATCH", `conversations/${id}/members/${user}`, { role });
export const invites = (id) => call("GET", `conversations/${id}/invites`);
export const createInvite = (id, what) => call("POST", `conversations/${id}/invites`, what);
export const revokeInvite = (id, token) => call("DELETE", `conversations/${id}/invites/${token}`);
export const invitation = (token) => call("GET", `invites/${encodeURIComponent(token)}`);
export const acceptInvitation = (token) => call("POST", `invites/${encodeURIComponent(token)}`);
export const joinRequests = (id) => call("GET", `conversations/${id}/requests`);
export const decideRequest = (id, user, accept) => call("POST", `conversations/${id}/requests/${user}`, { accept });
export const members = (id, cursor) => call("GET", `conversations/${id}/members?${query({ cursor, limit: "100" })}`);
export const membersNamed = (id, q) => call("GET", `conversations/${id}/members?${query({ q, limit: "50" })}`);
export const mute = (id, until) => call("PUT", `conversations/${id}/mute`, { until });
export const read = (id, server_id) => call("PUT", `conversations/${id}/read`, { server_id });
export const shelve = (id, change) => call("PATCH", `conversations/${id}/shelf`, change);
export const setTimer = (id, timer_s) => call("PUT", `conversations/${id}/timer`, { timer_s });
export const blocks = () => call("GET", "blocks");
export const block = (user) => call("PUT", `blocks/${user}`);
export const unblock = (user) => call("DELETE", `blocks/${user}`);
export const users = (q) => call("GET", `users?${query({ q })}`);
export const user = (id) => call("GET", `users/${id}`);
export const profile = (id) => call("GET", `users/${id}/profile`);
export const report = (body) => call("POST", "reports", body);
export const appeal = (message, text) => call("POST", `messages/${message}/appeal`, { text });
export const beginMedia = (file) => call("POST", "media", file);
export const media = (id) => call("GET", `media/${id}`);
export const completeMedia = (id) => call("POST", `media/${id}/complete`);
export const cancelMedia = (id) => call("DELETE", `media/${id}`);
export const describeMedia = (messages) => call("GET", `media?${new URLSearchParams(messages.map((one) => ["message", one]))}`);
export const drafts = () => call("GET", "drafts");
export const draft = (id) => call("GET", `conversations/${id}/draft`);
export const keepDraft = (id, body) => call("PUT", `conversations/${id}/draft`, { body });
export const setPicture = (id, media) => call("PUT", `conversations/${id}/picture`, { media });
export const removePicture = (id) => call("DELETE", `conversations/${id}/picture`);
export const devices = () => call("GET", "devices");
export const push = (device) => call("GET", `devices/${device}/push`);
export const putPush = (device, subscription) => call("PUT", `devices/${device}/push`, subscription);
export const deletePush = (device) => call("DELETE", `devices/${device}/push`);
export const testPush = (device) => call("POST", `devices/${device}/push/test`);
export const pushSettings = () => call("GET", "me/push-settings");
export const changePushSettings = (changes) => call("PATCH", "me/push-settings", changes);
