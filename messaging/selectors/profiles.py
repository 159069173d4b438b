"""What one person may see of another: the profile."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from asgiref.sync import async_to_sync

from accounts.selectors import people
from accounts.selectors.people import UserCard
from chatproject import container
from messaging.domain.errors import NotFound
from messaging.domain.ids import ConversationId, UserId
from messaging.domain.messages import Conversation, ConversationType
from messaging.ports import RegistryUnavailable
from messaging.selectors import access, presence

logger = logging.getLogger(__name__)

#: So many of the viewer's own conversations are looked through, a page at a time, and so many groups are told.
_LOOKED_AT: Final = 2_000
_PAGE: Final = 500
_MOST_GROUPS: Final = 50


@dataclass(frozen=True, slots=True)
class Seen:
    """Whether somebody is online, or else when they last were (Unix milliseconds; None: not known)."""

    state: Literal["online", "offline"]
    last_seen: int | None


@dataclass(frozen=True, slots=True)
class Profile:
    """A person as the viewer may see them. ``seen`` is None where the viewer may not know."""

    card: UserCard
    about: str
    seen: Seen | None
    groups: list[Conversation]


def profile(viewer: UserId, user: UserId) -> Profile:
    """Return a person's profile; across a block there is no more of it than the names.

    Raises:
        NotFound: there is no such person.
    """
    card = people.cards_for(viewer, [user]).get(user)
    if card is None:
        raise NotFound("no such user")
    groups = _in_common(viewer, user) if viewer != user else []
    if people.blocked_either_way(viewer, user):
        return Profile(card, "", None, groups)
    return Profile(card, people.about(user), _seen(viewer, user), groups)


def _seen(viewer: UserId, user: UserId) -> Seen | None:
    if user not in access.visible_presence(viewer, [user]):
        return None
    try:
        if async_to_sync(container.registry().lookup)([user]).get(user):
            return Seen("online", None)
    except RegistryUnavailable:
        logger.warning("registry unavailable: a user is treated as offline")
    return Seen("offline", presence.last_seen_ms([user]).get(user))


def _in_common(viewer: UserId, user: UserId) -> list[Conversation]:
    """Return the groups of both, newest activity first."""
    store = container.conversation_store()
    both = [
        id_
        for ids in _own(viewer)
        for id_, standing in store.memberships(user, ids).items()
        if standing.membership.active
    ]
    groups = [found for found in store.get(both).values() if found.type is not ConversationType.DM]
    return sorted(groups, key=lambda one: one.activity_id, reverse=True)[:_MOST_GROUPS]


def _own(viewer: UserId) -> Iterator[list[ConversationId]]:
    """Yield the ids of the viewer's conversations in pages."""
    store = container.conversation_store()
    after = ConversationId(0)
    for _ in range(_LOOKED_AT // _PAGE):
        page = store.places(viewer, after=after, limit=_PAGE)
        yield [one.conversation_id for one in page if one.active]
        if len(page) < _PAGE:
            return
        after = page[-1].conversation_id
