/**
 * What one does with people, with a conversation as a whole, and with the house: its info, profiles, invitations, forwarding,
 * reports and appeals. Loaded when there is nothing else to do, or with the first of them.
 */
import { forward, setBlocked, startConversation } from "./acts.js";
import * as api from "./api-more.js";
import { _, handle, n } from "./i18n.js";
import { actsOn } from "./manage.js";
import { me, state, view } from "./model.js";
import { faceOf, nameOf, pictureOf, preview, summaryOf, titleOf } from "./names.js";
import { confirm, info, infoOf, people, summon, toast, withElement } from "./page.js";
import { sortedConversations } from "./store.js";
import { fetchConversation } from "./sync.js";

/** Show what a link leads into, and go in where its reader wants to. */
export async function join(token) {
  // Whatever comes of it, going back does not ask again.
  history.replaceState(null, "", view.active ? `#${view.active}` : location.pathname);
  try {
    const found = await api.invitation(token);
    if (found.standing === "member") {
      location.hash = found.conversation;
      return;
    }
    if (found.standing === "requested") {
      toast(_("You have asked to join. An admin has to let you in."));
      return;
    }
    const text = _("{members}. {rule}", { members: n("{count} member", "{count} members", found.members_count), rule: found.approval ? _("An admin has to let you in.") : _("You will see what is said from then on.") });
    if (!(await confirm.ask({ title: _("Join “{name}”?", { name: found.name || _("Group") }), text, action: found.approval ? _("Ask to join") : _("Join"), harmless: true }))) return;
    const { conversation, status } = await api.acceptInvitation(token);
    if (status === "requested") {
      toast(_("Asked. You will find the group here once an admin lets you in."));
      return;
    }
    await fetchConversation(conversation);
    location.hash = conversation;
  } catch (error) {
    toast(error.status === 404 ? _("This invitation is over.") : error.message);
  }
}

/** Show what there is to know of the open conversation, and what one may do with it. */
export function openInfo() {
  const conv = state.convs[view.active];
  if (!conv || conv.closed) return;
  const acts = actsOn(conv.id);
  const title = titleOf(conv);
  const what = {
    ...acts,
    block: (on) => block(conv, on),
    report: () => reportConversation(conv),
    add: () => people("add", { exclude: (state.convs[conv.id].members ?? []).map((one) => one.id), finish: ({ users }) => acts.add(users) }),
    remove: async (member) => {
      const text = _("{name} can no longer read or write here.", { name: member.display_name });
      if (await confirm.ask({ title: _("Remove {name}?", { name: member.display_name }), text, action: _("Remove") })) await acts.remove(member.id);
    },
    transfer: async (member) => {
      const text = _("{name} can then do everything here, and you will be an admin. Only they can undo it.", { name: member.display_name });
      if (await confirm.ask({ title: _("Make {name} the owner?", { name: member.display_name }), text, action: _("Make owner") })) await acts.setRole(member.id, "owner");
    },
    profile: openProfile,
    go: (id) => {
      info.close();
      location.hash = id;
    },
    invite: async () => (await summon("invite-dialog")).open(acts.invites),
    leave: async () => {
      const text = _("You will see nothing of it any more, also not what was said until now.");
      if (await confirm.ask({ title: _("Leave “{name}”?", { name: title }), text, action: _("Leave") })) await acts.leave();
    },
  };
  withElement("conversation-info", (dialog) => dialog.open(infoOf(conv), what));
}

/** Show who somebody is. */
export function openProfile(id) {
  const person = state.users[id];
  if (id === me.id || !person) return;
  const blocked = state.blocked.includes(id);
  const acts = {
    blocked,
    message: async () => {
      info.close?.();
      await startConversation({ type: "dm", members: [id] });
    },
    block: () => block({ id: view.active, type: "dm", peer: person }, !blocked),
    report: () => report({ what: { user: id }, author: id, title: _("Report {name}", { name: person.display_name }), lead: `${handle(person.username)}.` }),
    go: (conv) => {
      info.close?.();
      location.hash = conv;
    },
  };
  withElement("profile-dialog", (dialog) => dialog.open(person, acts));
}

async function block(conv, on) {
  const title = titleOf(conv);
  const text = _("Neither of you can write to the other until you unblock.");
  if (!on || (await confirm.ask({ title: _("Block {name}?", { name: title }), text, action: _("Block") }))) await setBlocked(conv.peer.id, on);
}

/** Ask to where messages are to be forwarded, and do it. */
export async function forwardFrom(some) {
  const open = sortedConversations(state).filter((conv) => conv.type !== "dm" || conv.peer);
  const targets = open.map((conv) => ({ id: conv.id, face: faceOf(conv), picture: pictureOf(conv), name: titleOf(conv), hint: conv.type === "dm" ? handle(conv.peer.username) : n("{count} member", "{count} members", conv.members_count) }));
  const conv = await (await summon("forward-dialog")).ask({ text: some.map((message) => preview(summaryOf(message))).join(" · "), targets });
  if (!conv) return;
  for (const message of some) await forward(message, conv);
  location.hash = conv;
}

/** Bring something to the moderators, and block its author as well where that is wanted. */
function report({ what, author, title, lead }) {
  const blockable = author && !state.blocked.includes(author) ? nameOf(author) : null;
  const shown = {
    title,
    lead: _("{what} The moderators of this server see it as you see it now. Nobody else learns that you reported it.", { what: lead }),
    block: blockable,
    send: async ({ category, text, block: also }) => {
      await api.report({ ...what, category, text });
      if (also) await setBlocked(author, true);
      toast(also ? _("Reported, and blocked.") : _("Reported. Thank you."));
    },
  };
  withElement("report-dialog", (dialog) => dialog.report(shown));
}

export const reportMessage = (message) =>
  report({ what: { message: message.server_id }, author: message.from, title: _("Report this message"), lead: _("“{text}”, by {name}, and what stands around it.", { text: preview(message.body).slice(0, 80), name: nameOf(message.from) }) });

function reportConversation(conv) {
  info.close();
  const title = titleOf(conv);
  report({ what: { conversation: conv.id }, author: conv.peer?.id ?? null, title: _("Report “{name}”", { name: title }), lead: _("Its newest messages.") });
}

export const appeal = (message) =>
  withElement("report-dialog", (dialog) =>
    dialog.appeal(async ({ text }) => {
      await api.appeal(message.server_id, text);
      toast(_("Sent. The moderators will look at it again."));
    }),
  );
