"""Who may see an object: before it is sent its owner, after that whoever can read a message with it (0053)."""

from collections.abc import Collection, Sequence
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.selectors import people
from chatproject import container
from messaging.domain import ids
from messaging.domain.errors import InvalidInput, NotFound
from messaging.domain.ids import ConversationId, MediaId, MessageId, UserId
from messaging.media.models import Kind, MediaObject, State
from messaging.selectors.access import require_member
from messaging.selectors.history import message_frame

#: Others are called by their names.
_WORDS: Final[dict[str, Promise]] = {Kind.IMAGE: _("Photo"), Kind.VIDEO: _("Video"), Kind.VOICE: _("Voice note")}

Ref = tuple[ConversationId, MessageId]


def own(user_id: UserId, media_id: MediaId) -> MediaObject:
    """Return an object of one's own that no message refers to yet. Raises NotFound."""
    item = MediaObject.objects.filter(pk=media_id, owner_id=user_id, uses=None).first()
    if item is None:
        raise NotFound("no such media")
    return item


def readable(user_id: UserId, media_id: MediaId, *, message: str | None) -> MediaObject:
    """Return a ready object that the user may have, as part of ``message`` (``m_…``) or, without one, as its owner.

    Raises:
        NotFound: absent, not ready, or not for this user: they look alike.
    """
    item: MediaObject | None = None
    if message is None:
        item = own(user_id, media_id)
    elif media_id in in_message(user_id, message):
        item = MediaObject.objects.filter(pk=media_id).first()
    if item is None or item.state != State.READY:
        raise NotFound("no such media")
    return item


def picture_of(user_id: UserId, conversation_id: ConversationId) -> MediaObject:
    """Return the picture of a group that the user is a member of. Raises NotFound: also where it has none."""
    return _picture(require_member(user_id, conversation_id).conversation.picture)


def portrait_of(viewer: UserId, user_id: UserId) -> MediaObject:
    """Return somebody's own picture. Raises NotFound: also where there is none, and across a block."""
    card = people.cards_for(viewer, [user_id]).get(user_id)
    return _picture(None if card is None else card.picture)


def _picture(media_id: MediaId | None) -> MediaObject:
    item = None if media_id is None else MediaObject.objects.filter(pk=media_id, state=State.READY).first()
    if item is None:
        raise NotFound("no such picture")
    return item


def in_message(user_id: UserId, message: str) -> set[MediaId]:
    """Return the media of a message that the user can read; none of one that is deleted, absent or another's."""
    return in_messages(user_id, [message]).get(message, set())


def in_messages(user_id: UserId, messages: Sequence[str]) -> dict[str, set[MediaId]]:
    """Return the media of those messages (``m_…``) that the user can read now. Three queries for any number.

    Raises:
        InvalidInput: one is no ``m_…``.
    """
    try:
        refs: dict[str, Ref] = {text: ids.parse_server_id(text) for text in messages}
    except ids.InvalidId:
        raise InvalidInput("message is not a server_id") from None
    conversations = list({conversation for conversation, _ in refs.values()})
    standing = container.conversation_store().memberships(user_id, conversations)
    seen = {
        text: (conversation, message_id)
        for text, (conversation, message_id) in refs.items()
        if (stands := standing.get(conversation)) and stands.membership.active and message_id > stands.floor
    }
    found = container.message_store().get(list(seen.values())) if seen else {}
    answers = {}
    for text, ref in seen.items():
        if ref in found:
            # As its reader sees it: of one that was deleted nothing is left.
            shown = message_frame(found[ref], viewer=user_id)
            answers[text] = {media_id for media_id in map(_media_id, shown.media) if media_id is not None}
    return answers


def _media_id(ref: str) -> MediaId | None:
    try:
        return ids.parse_media(ref)
    except ids.InvalidId:
        # Messages from before there was a store refer to what their clients knew.
        return None


def words(refs: Collection[str]) -> dict[str, str | Promise]:
    """Return what each file is, in a word or by its name: "Photo", "Voice note", "minutes.pdf". One query at most.

    A word is in the language in which it is read. Files that are not known are left out. It asks nobody who they are:
    for those who may read the message anyway.
    """
    wanted = {media_id for media_id in map(_media_id, refs) if media_id is not None}
    rows = MediaObject.objects.filter(pk__in=wanted).values_list("pk", "kind", "name") if wanted else ()
    return {ids.media_ref(pk): _WORDS.get(kind) or name for pk, kind, name in rows}


def pictures(refs: Collection[str]) -> set[str]:
    """Return which of these files are pictures. One query at most; it asks nobody who they are, as ``words``."""
    wanted = {media_id for media_id in map(_media_id, refs) if media_id is not None}
    found = MediaObject.objects.filter(pk__in=wanted, kind=Kind.IMAGE).values_list("pk", flat=True) if wanted else ()
    return {ids.media_ref(pk) for pk in found}


def described(user_id: UserId, messages: Sequence[str]) -> list[MediaObject]:
    """Return the ready objects of those of the messages that the user can read."""
    wanted = set().union(*in_messages(user_id, messages).values())
    return list(MediaObject.objects.filter(pk__in=wanted, state=State.READY))
