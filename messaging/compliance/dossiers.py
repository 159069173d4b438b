"""What the staff may know of a conversation, wherever it is stored; through the ports (docs/decisions/0084).

``facts_of`` tells nothing that its members made: no name, no member, no text. Who is in it, and in which conversations
somebody is, is private: those are told for a reason, which is in the audit log first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from accounts.selectors.people import UserCard, names_on_file
from chatproject import container
from messaging.compliance.audit import Action, record
from messaging.compliance.holds import Held, held
from messaging.compliance.models import Jurisdiction
from messaging.compliance.retention import Rules
from messaging.compliance.rules import Rule
from messaging.domain.errors import NotFound
from messaging.domain.ids import ConversationId, MessageId, UserId, conversation_ref, timestamp_ms, user_ref
from messaging.domain.messages import Conversation, ConversationType, Membership

#: Members of one page, and conversations of one person.
PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Facts:
    """A conversation without what its members made. ``jurisdiction``: its own; empty where it has its members'."""

    conversation: Conversation
    rule: Rule
    held: Held
    jurisdiction: str

    @property
    def active_at(self) -> datetime | None:
        """When something was sent last."""
        last = self.conversation.last_message_id
        return None if last is None else time_of(last)

    @property
    def expired_upto(self) -> datetime | None:
        """Up to when what was sent is hidden from its members, because its time is over."""
        return time_of(self.conversation.expired_id) if self.conversation.expired_id else None


def time_of(number: MessageId) -> datetime:
    """Return when something was sent."""
    return datetime.fromtimestamp(timestamp_ms(number) / 1000, UTC)


def facts_of(conversation_id: ConversationId) -> Facts:
    """Return what there is to know of a conversation. Raises NotFound."""
    found = container.conversation_store().get([conversation_id]).get(conversation_id)
    if found is None:
        raise NotFound("there is no such conversation")
    own = Jurisdiction.objects.filter(conversation_id=conversation_id).values_list("code", flat=True).first()
    return Facts(found, Rules().of(found), held([conversation_id])[0][conversation_id], own or "")


@dataclass(frozen=True, slots=True)
class Member:
    """One place in a conversation, and who has it; ``card`` is None where there is no such account any more."""

    place: Membership
    card: UserCard | None


def members_of(conversation_id: ConversationId, *, actor: UserId, reason: str) -> tuple[str, list[Member], bool]:
    """Return a conversation's name and the first members that are in it now, and whether there are more.

    That they were looked at, and why, is in the audit log first.

    Raises:
        NotFound: there is no such conversation. InvalidInput: no reason.
    """
    store = container.conversation_store()
    found = store.get([conversation_id]).get(conversation_id)
    if found is None:
        raise NotFound("there is no such conversation")
    record(
        Action.CONTENT_VIEWED,
        actor=actor,
        object=conversation_ref(conversation_id),
        reason=reason,
        details={"what": "name and members"},
    )
    places = store.members(conversation_id, limit=PAGE + 1)
    return found.name, _with_cards(places[:PAGE]), len(places) > PAGE


def _with_cards(places: Sequence[Membership]) -> list[Member]:
    names = names_on_file(place.user_id for place in places)
    return [Member(place, names.get(place.user_id)) for place in places]


@dataclass(frozen=True, slots=True)
class Place:
    """A conversation in which somebody is or was. ``kind``: None where it is not there any more."""

    ref: str
    kind: ConversationType | None
    place: Membership

    @property
    def left_at(self) -> datetime | None:
        """When the person left."""
        return None if self.place.left_id is None else time_of(self.place.left_id)


def places_of(user: UserId, *, actor: UserId, reason: str, after: ConversationId) -> tuple[list[Place], bool]:
    """Return conversations in which somebody is or ever was, of ids above ``after``, and whether there are more.

    That it was looked at, and why, is in the audit log first. Raises InvalidInput: no reason.
    """
    details = {"what": "conversations"}
    record(Action.CONTENT_VIEWED, actor=actor, object=user_ref(user), reason=reason, details=details)
    store = container.conversation_store()
    places = store.places(user, after=after, limit=PAGE + 1)
    found = store.get([place.conversation_id for place in places[:PAGE]])
    shown = []
    for place in places[:PAGE]:
        conversation = found.get(place.conversation_id)
        kind = None if conversation is None else conversation.type
        shown.append(Place(conversation_ref(place.conversation_id), kind, place))
    return shown, len(places) > PAGE
