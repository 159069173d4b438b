"""From views of the domain to JSON; ids and names as on the socket (design section 5)."""

from datetime import datetime
from typing import Any

from messaging.domain import frames, ids
from messaging.domain.ids import ConversationId, MediaId, MessageId
from messaging.domain.messages import ConversationType
from messaging.selectors.history import expired_before
from messaging.selectors.inbox import ConversationView, MemberView
from messaging.selectors.messages import PinnedMessage
from messaging.selectors.profiles import Profile


def moment(value: datetime | None) -> str | None:
    """Return an ISO 8601 time in UTC."""
    return None if value is None else value.isoformat().replace("+00:00", "Z")


def mark(conversation: ConversationId, message: MessageId) -> str | None:
    """Return a read mark as ``m_…``, or None where nothing was read."""
    return ids.server_id(conversation, message) if message else None


def message(frame: frames.Msg) -> dict[str, Any]:
    """Return the fields of the socket's ``msg``; empty ones are written out."""
    body: dict[str, Any] = {
        "server_id": frame.server_id,
        "conv": frame.conv,
        "from": frame.sender,
        "ts": frame.ts,
        "body": frame.body,
        "media": frame.media,
        "prev": frame.prev,
        "reply_to": frame.reply_to,
        "kind": frame.kind,
        "forwarded": frame.forwarded,
        "edited_at": frame.edited_at,
        "deleted": frame.deleted,
        "withheld": frame.withheld,
        "reactions": [
            {"emoji": it.emoji, "count": it.count, "mine": it.mine, "users": it.users} for it in frame.reactions
        ],
        "mentions": frame.mentions,
    }
    if frame.msg_id is not None:
        body["msg_id"] = frame.msg_id
    if frame.event is not None:
        event = frame.event
        body["event"] = {
            "type": event.type,
            "users": event.users,
            "name": event.name,
            "role": event.role,
            "timer_s": event.timer_s,
        }
    return body


def picture(media: MediaId | None) -> str | None:
    """Return what tells one picture from the one before."""
    return None if media is None else ids.media_ref(media)


def pin(pinned: PinnedMessage) -> dict[str, Any]:
    """Return a pinned message, with who pinned it and when."""
    return {"message": message(pinned.message), "by": ids.user_ref(pinned.user_id), "ts": pinned.ts_ms}


def profile(seen: Profile) -> dict[str, Any]:
    """Return a person as one other may see them."""
    return {
        "id": ids.user_ref(seen.card.id),
        "username": seen.card.username,
        "display_name": seen.card.display_name,
        "picture": picture(seen.card.picture),
        "about": seen.about,
        "presence": None if seen.seen is None else {"state": seen.seen.state, "last_seen": seen.seen.last_seen},
        "groups": [
            {
                "id": ids.conversation_ref(it.id),
                "name": it.name,
                "members_count": it.members_count,
                "picture": picture(it.picture),
            }
            for it in seen.groups
        ],
    }


def member(view: MemberView) -> dict[str, Any]:
    """Return a member."""
    place = view.membership
    return {
        "id": ids.user_ref(place.user_id),
        "username": view.username,
        "display_name": view.display_name,
        "is_bot": view.is_bot,
        "picture": picture(view.picture),
        "role": place.role.value,
        "joined_at": moment(place.joined_at),
        "last_read": mark(place.conversation_id, place.last_read_id),
    }


def conversation(view: ConversationView) -> dict[str, Any]:
    """Return a conversation as its reader sees it; whether a group is small or large is our own affair."""
    it = view.conversation
    return {
        "id": ids.conversation_ref(it.id),
        "type": "dm" if it.type is ConversationType.DM else "group",
        "name": it.name,
        "members": None if view.members is None else [member(one) for one in view.members],
        "members_count": it.members_count,
        "encrypted": it.encrypted,
        "peer": None if view.peer is None else member(view.peer),
        "role": view.membership.role.value,
        "last_message": None if view.last_message is None else message(view.last_message),
        "last_read": mark(it.id, view.membership.last_read_id),
        "unread_count": view.unread.count,
        "mentioned": view.unread.mentioned,
        "muted_until": moment(view.membership.muted_until),
        "pinned": view.membership.shelf.pinned,
        "archived": view.archived,
        "marked_unread": view.marked_unread,
        "picture": picture(it.picture),
        "timer_s": it.timer_s,
        "expired_before": expired_before(it.id, it.expired_id),
        "created_at": moment(it.created_at),
    }
