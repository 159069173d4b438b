"""How long messages of a conversation are kept, where several rules speak of it. Pure (docs/decisions/0044).

Two things are decided. From when on members see a message no more: the shortest of what the laws allow at most and of
what the members themselves want. And from when on it is deleted: then as well, but never before the longest time for
which a law wants it kept. Where a duty to keep and a duty to delete contradict each other, what has to be kept is kept
and nobody sees it: it can be deleted later, and not be brought back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """One rule. An empty ``jurisdiction`` or ``conversation_type`` matches any."""

    jurisdiction: str
    conversation_type: str
    min_days: int | None
    max_days: int | None

    def matches(self, jurisdictions: Iterable[str], conversation_type: str) -> bool:
        """Return whether it speaks of a conversation of this type under any of these laws.

        ``US`` is also the law of ``US-CA``.
        """
        if self.conversation_type not in ("", conversation_type):
            return False
        return not self.jurisdiction or any(
            code == self.jurisdiction or code.startswith(f"{self.jurisdiction}-") for code in jurisdictions
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """After which time members see a message no more, and after which it is deleted. None: never."""

    hidden_after: timedelta | None
    deleted_after: timedelta | None


def duty_for(policies: Iterable[Policy], *, jurisdictions: Iterable[str], conversation_type: str) -> timedelta | None:
    """Return for how long messages have to be kept, whoever wants them gone: the longest minimum. None: no duty."""
    codes = list(jurisdictions)
    matching = [policy for policy in policies if policy.matches(codes, conversation_type)]
    return max((timedelta(days=it.min_days) for it in matching if it.min_days is not None), default=None)


def rule_for(
    policies: Iterable[Policy], *, jurisdictions: Iterable[str], conversation_type: str, timer_s: int | None
) -> Rule:
    """Return the rule of a conversation: of all that match, the longest minimum and the shortest maximum."""
    codes = list(jurisdictions)
    matching = [policy for policy in policies if policy.matches(codes, conversation_type)]
    ends = [timedelta(days=it.max_days) for it in matching if it.max_days is not None]
    if timer_s is not None:
        ends.append(timedelta(seconds=timer_s))
    if not ends:
        return Rule(None, None)
    hidden_after = min(ends)
    duties = [timedelta(days=it.min_days) for it in matching if it.min_days is not None]
    return Rule(hidden_after, max([hidden_after, *duties]))
