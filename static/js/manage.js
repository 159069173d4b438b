/** What one may do to a conversation as a whole. */
import * as api from "./api-more.js";
import { me } from "./model.js";
import { fetchConversation, gone, loadRequests } from "./sync.js";

const FOREVER = "9999-12-31T00:00:00Z";

/** Return what one may do to a conversation; on return the state has the outcome. All may throw an ApiError. */
export function actsOn(id) {
  const then = async (work) => {
    await work;
    await fetchConversation(id);
  };
  return {
    // For so many seconds, for ever (Infinity), or not any more (0).
    mute: (seconds) => then(api.mute(id, seconds === Infinity ? FOREVER : seconds ? new Date(Date.now() + seconds * 1000).toISOString() : null)),
    setTimer: (seconds) => then(api.setTimer(id, seconds)),
    rename: (name) => then(api.rename(id, name)),
    add: (users) => then(api.addMembers(id, users)),
    remove: (user) => then(api.removeMember(id, user)),
    setRole: (user, role) => then(api.setRole(id, user, role)),
    setPicture: async (file) => {
      const { uploadPicture } = await import("./uploads.js");
      await then(api.setPicture(`conversations/${id}`, await uploadPicture(file, { conv: id, api })));
    },
    removePicture: () => then(api.removePicture(`conversations/${id}`)),
    decide: async (user, accept) => {
      await then(api.decideRequest(id, user, accept));
      await loadRequests(id);
    },
    invites: {
      list: () => api.invites(id),
      create: (what) => api.createInvite(id, what),
      revoke: (token) => api.revokeInvite(id, token),
    },
    members: (cursor) => api.members(id, cursor),
    leave: async () => {
      await api.removeMember(id, me.id);
      gone(id, me.id);
    },
  };
}
