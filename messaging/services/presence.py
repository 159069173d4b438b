"""Writes when people were last connected."""

from collections.abc import Sequence
from datetime import UTC, datetime

from accounts.models import User
from messaging.domain.ids import UserId


def save_last_seen(users: Sequence[UserId], at_ms: int) -> None:
    """Note that these users were connected until ``at_ms`` (Unix milliseconds); one statement for all."""
    User.objects.filter(pk__in=list(users)).update(last_seen_at=datetime.fromtimestamp(at_ms / 1000, UTC))
