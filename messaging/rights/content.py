"""What is in the copy of somebody's data: JSON Lines for programs, a page for people, and a manifest of both."""

from collections.abc import Iterator
from typing import IO, Any, Final

from django.template.loader import render_to_string
from django.utils import timezone

from accounts.language import speaking_to
from accounts.models import Bot, Device, User
from accounts.selectors import bots, credentials, people
from chatproject import container
from messaging.archive import Archive, time_of, written
from messaging.domain import ids
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.messages import ConversationType
from messaging.hooks.models import Endpoint
from messaging.hooks.selectors import endpoints_of
from messaging.media.models import MediaObject
from messaging.moderation.models import Report
from messaging.moderation.selectors import notices_for
from messaging.ports import InboxRow, MediaMissing
from messaging.unsent.models import Draft, ScheduledMessage
from messaging.unsent.selectors import drafts_of, scheduled_of

FORMAT: Final = 1
_PAGE: Final = 500
#: Messages that the page for people shows; the file beside it has all.
_ON_THE_PAGE: Final = 5_000


def write(user: User, file: IO[bytes]) -> None:
    """Write the copy of a user's data as a zip.

    It has what the user wrote (also what was deleted or is withheld, while it is stored), and nothing that others did,
    their bots included. It has no secrets: of tokens and webhooks what they are, not what gets in.
    What is over its time is left out as everywhere, also where it is kept: a copy that had it would tell of a hold.
    """
    made_at = timezone.now()
    archive = Archive(file, made_at)
    rows = list(_conversations(UserId(user.pk)))
    shown: list[dict[str, Any]] = []
    picture = _picture(user)
    archive.lines("profile.jsonl", iter([_profile(user, picture=picture is not None)]))
    if picture is not None:
        archive.pieces("picture.webp", [picture])
    archive.lines("devices.jsonl", map(_device, credentials.devices_of(user)))
    archive.lines("blocked.jsonl", ({"id": ids.user_ref(it.id), "username": it.username} for it in _blocked(user)))
    archive.lines("conversations.jsonl", map(_conversation, rows))
    archive.lines("messages.jsonl", _noting(shown, _messages(UserId(user.pk), rows)))
    archive.lines("drafts.jsonl", map(_draft, drafts_of(UserId(user.pk))))
    archive.lines("scheduled.jsonl", map(_scheduled, scheduled_of(UserId(user.pk))))
    archive.lines("bots.jsonl", map(_bot, bots.owned_by(user)))
    archive.lines("reports.jsonl", map(_report, Report.objects.filter(reporter=user).order_by("pk")))
    archive.lines("decisions.jsonl", map(_notice, notices_for(UserId(user.pk), limit=10_000)))
    context = {"user": user, "made_at": made_at, "files": archive.files, "messages": shown, "most": _ON_THE_PAGE}
    with speaking_to(user):
        archive.text("index.html", render_to_string("rights/export.html", context))
    archive.close({"format": FORMAT, "user": ids.user_ref(user.pk), "made_at": written(made_at)})


def _noting(shown: list[dict[str, Any]], messages: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        if len(shown) < _ON_THE_PAGE:
            shown.append(message)
        yield message


def _conversations(user_id: UserId) -> Iterator[InboxRow]:
    """Yield where the user is or ever was."""
    store, after = container.conversation_store(), ConversationId(0)
    while page := store.places(user_id, after=after, limit=_PAGE):
        found = store.get([place.conversation_id for place in page])
        yield from (InboxRow(found[it.conversation_id], it) for it in page if it.conversation_id in found)
        after = page[-1].conversation_id


def _messages(user_id: UserId, rows: list[InboxRow]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield from _written(user_id, row.conversation.id, after=row.conversation.expired_id)


def _written(user_id: UserId, conversation: ConversationId, *, after: MessageId) -> Iterator[dict[str, Any]]:
    # Also from before the last joining: an earlier stay leaves no times.
    store = container.message_store()
    while page := store.oldest_after(conversation, after=after, limit=_PAGE):
        for message in page:
            if message.sender_id == user_id and message.kind == "text":
                yield {
                    "id": ids.server_id(conversation, message.message_id),
                    "conversation": ids.conversation_ref(conversation),
                    "at": time_of(message.message_id),
                    "body": message.last_text,
                    "media": message.media,
                    "edited_at": None if message.edit_id is None else time_of(message.edit_id),
                    "deleted": message.delete_id is not None,
                    "withheld": message.withheld,
                }
        after = page[-1].message_id


def _picture(user: User) -> bytes | None:
    """Return the user's own picture; it has a megabyte at most, being a square of 640 pixels."""
    if user.picture is None:
        return None
    item = MediaObject.objects.filter(pk=user.picture).first()
    try:
        return None if item is None else b"".join(container.media_store().read(item.content_key))
    except MediaMissing:
        return None


def _profile(user: User, *, picture: bool) -> dict[str, Any]:
    return {
        "id": ids.user_ref(user.pk),
        "username": user.username,
        "display_name": user.display_name,
        "about": user.about,
        "picture": "picture.webp" if picture else None,
        "email": user.email,
        "presence": user.presence.value,
        "show_previews": user.show_previews,
        "joined_at": written(user.date_joined),
        "last_login_at": written(user.last_login),
        "identities": [{"issuer": one.issuer, "subject": one.subject} for one in user.identities.all()],
        "last_seen_at": written(user.last_seen_at),
    }


def _device(device: Any) -> dict[str, Any]:
    return {
        "id": ids.device_ref(device.pk),
        "kind": device.kind,
        "name": device.name,
        "created_at": written(device.created_at),
        "last_used_at": written(device.last_used_at),
    }


def _blocked(user: User) -> list[people.UserCard]:
    return people.blocked_by(UserId(user.pk))


def _conversation(row: InboxRow) -> dict[str, Any]:
    place = row.membership
    return {
        "id": ids.conversation_ref(row.conversation.id),
        "type": "dm" if row.conversation.type is ConversationType.DM else "group",
        "name": row.conversation.name,
        "role": place.role.value,
        "joined_at": written(place.joined_at),
        "left_at": None if place.left_id is None else time_of(place.left_id),
        "muted_until": written(place.muted_until),
        "pinned": place.shelf.pinned,
        "archived": bool(place.shelf.archived_id),
    }


def _draft(draft: Draft) -> dict[str, Any]:
    where = ids.conversation_ref(ConversationId(draft.conversation_id))
    return {"conversation": where, "body": draft.body, "updated_at": written(draft.updated_at)}


def _scheduled(row: ScheduledMessage) -> dict[str, Any]:
    return {
        "conversation": ids.conversation_ref(ConversationId(row.conversation_id)),
        "body": row.body,
        "media": row.media,
        "send_at": written(row.send_at),
        "state": row.state,
    }


def _bot(bot: Bot) -> dict[str, Any]:
    """Return a bot with what gets in as it, and where its events go."""
    return {
        "id": ids.user_ref(bot.pk),
        "username": bot.user.username,
        "display_name": bot.user.display_name,
        "description": bot.description,
        "direct": bot.direct,
        "created_at": written(bot.created_at),
        "tokens": [_credential(it) for it in bots.credentials_of(bot, Device.Kind.BOT)],
        "webhooks": [_credential(it) for it in bots.credentials_of(bot, Device.Kind.HOOK)],
        "endpoints": [_endpoint(it) for it in endpoints_of(bot)],
    }


def _credential(device: Device) -> dict[str, Any]:
    where = device.conversations
    return _device(device) | {
        "scopes": device.scopes,
        "conversations": None if where is None else [ids.conversation_ref(ConversationId(it)) for it in where],
        "expires_at": written(device.expires_at),
    }


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": ids.endpoint_ref(endpoint.pk),
        "url": endpoint.url,
        "events": endpoint.events,
        "created_at": written(endpoint.created_at),
        "off_at": written(endpoint.off_at),
        "last_success_at": written(endpoint.last_success_at),
    }


def _report(report: Report) -> dict[str, Any]:
    return {"category": report.category, "text": report.text, "at": written(report.created_at)}


def _notice(notice: Any) -> dict[str, Any]:
    return {"kind": notice.kind, "reason": notice.reason, "at": written(notice.at), "until": written(notice.until)}
