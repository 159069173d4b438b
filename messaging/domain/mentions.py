"""Whom a message mentions: a list beside the text. Nobody parses the text (docs/decisions/0040)."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from messaging.domain import ids
from messaging.domain.errors import InvalidInput, TooLarge
from messaging.domain.ids import UserId
from messaging.domain.limits import Limits
from messaging.domain.messages import ConversationType, Role

#: In a list of mentions: all members. It is nobody's id.
EVERYBODY: Final = UserId(0)
#: How it is spelt on the wire.
ALL: Final = "all"


def parse_mentions(refs: Sequence[str], *, limits: Limits) -> list[UserId]:
    """Return the users that ``refs`` name, each once, in their order; ``all`` becomes ``EVERYBODY``.

    Raises:
        TooLarge: more than ``max_mentions``. InvalidInput: neither a user's id nor ``all``.
    """
    if len(refs) > limits.max_mentions:
        raise TooLarge(f"{len(refs)} mentions; the limit is {limits.max_mentions}")
    try:
        return list(dict.fromkeys(EVERYBODY if ref == ALL else ids.parse_user(ref) for ref in refs))
    except ids.InvalidId:
        raise InvalidInput(f"a mention is the id of a user, or {ALL!r}") from None


def mention_refs(mentions: Iterable[UserId]) -> list[str]:
    """Return mentions as they are spelt on the wire."""
    return [ALL if user == EVERYBODY else ids.user_ref(user) for user in mentions]


def may_mention_everybody(type: ConversationType, role: Role) -> bool:
    """Return whether a member may mention all at once: in small groups everybody, in large ones who moderates."""
    return type is ConversationType.GROUP_SMALL or (type is ConversationType.GROUP_LARGE and role.moderates)


def mentions_user(mentions: Collection[UserId], user: UserId) -> bool:
    """Return whether a user is mentioned, by name or with everybody."""
    return user in mentions or EVERYBODY in mentions
