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

const leaving = new AbortController();

/** This page's session ends: end what is asked for, and what would be. Neither settles any more, or the page would go on. */
export const leave = () => leaving.abort();

const never = new Promise(() => {});

export const csrfToken = () => /(?:^|; )(?:__Host-)?csrftoken=([^;]*)/.exec(document.cookie)?.[1] ?? "";

/** Fetch, as `fetch` does, to the end of the session at most. Throws an ApiError where there is no answer. */
export async function ask(url, { signal, ...options }) {
  try {
    return await fetch(url, { ...options, signal: signal ? AbortSignal.any([signal, leaving.signal]) : leaving.signal });
  } catch {
    if (leaving.signal.aborted) return never;
    throw new ApiError(0, { code: "offline", detail: _("No connection to the server.") });
  }
}

export async function call(method, path, body) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = csrfToken();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await ask(`/v1/${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (response.status === 204) return null;
  const data = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(response.status, data);
  return data;
}

export const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();

export const conversations = (cursor) => call("GET", `conversations?${query({ cursor, limit: "100" })}`);
export const pinnedConversations = () => call("GET", "conversations?pinned=true");
export const conversation = (id) => call("GET", `conversations/${id}`);
export const createConversation = (body) => call("POST", "conversations", body);
export const history = (id, { before, after, limit = 50 } = {}) => call("GET", `conversations/${id}/messages?${query({ before, after, limit: String(limit) })}`);
export const message = (id) => call("GET", `messages/${id}`);
export const pins = (id) => call("GET", `conversations/${id}/pins`);
export const since = (id, at) => call("GET", `conversations/${id}/since?${query({ at })}`);
export const joinRequests = (id) => call("GET", `conversations/${id}/requests`);
export const membersNamed = (id, q) => call("GET", `conversations/${id}/members?${query({ q, limit: "50" })}`);
export const read = (id, server_id) => call("PUT", `conversations/${id}/read`, { server_id });
export const shelve = (id, change) => call("PATCH", `conversations/${id}/shelf`, change);
export const blocks = () => call("GET", "blocks");
export const block = (user) => call("PUT", `blocks/${user}`);
export const unblock = (user) => call("DELETE", `blocks/${user}`);
export const user = (id) => call("GET", `users/${id}`);
export const describeMedia = (messages) => call("GET", `media?${new URLSearchParams(messages.map((one) => ["message", one]))}`);
