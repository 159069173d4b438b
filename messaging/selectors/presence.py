"""Reads what presence needs of people."""

from collections.abc import Sequence

from accounts.selectors import people
from messaging.domain.ids import UserId


def shared(users: Sequence[UserId]) -> set[UserId]:
    """Return those of ``users`` who let others see their presence."""
    return set(people.shares_presence(users))


def last_seen_ms(users: Sequence[UserId]) -> dict[UserId, int]:
    """Return when each was last connected, in Unix milliseconds; absent where that is not known."""
    return {
        user: int(moment.timestamp() * 1000) for user, moment in people.last_seen(users).items() if moment is not None
    }
