"""The rules that are in force, compiled: what ``container.screener()`` returns (docs/decisions/0051)."""

import logging
import time
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.utils.module_loading import import_string
from prometheus_client import Counter

from messaging.domain import ids
from messaging.domain.errors import NotAccepted
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.moderation import limits
from messaging.moderation.models import Case, FilterRule, Flag
from messaging.moderation.rules import Rule
from messaging.ports import Draft

logger = logging.getLogger(__name__)

MATCHED = Counter("chat_filter_matches_total", "Texts that a rule of the moderators matched.", ["result"])

#: A rule that was changed is in force after this time at the latest, everywhere.
_REFRESH_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Compiled:
    pk: int
    refuses: bool
    rule: Rule


def compile_rule(kind: str, config: str) -> Rule:
    """Return a rule of a kind. Raises ValueError: the text says nothing that the kind understands."""
    made: Rule = import_string(settings.MODERATION_RULES[kind])(config)
    return made


class RuleScreener:
    """``MessageScreener`` with the rules of the database. Shared by the threads of a process."""

    def __init__(self) -> None:
        self._rules: tuple[_Compiled, ...] = ()
        self._signature: object = None
        self._limited: frozenset[UserId] = frozenset()
        self._due = 0.0

    def due(self) -> bool:
        """Return whether it is time to ``refresh``; only the first who asks is told so."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + _REFRESH_S
        return True

    def refresh(self) -> None:
        """Take up what was changed. Two queries where nothing was.

        Where the database is away, what was in force stays so. Raises OperationalError, InterfaceError: nothing was.
        """
        try:
            self._limited = limits.limited()
            rows = list(FilterRule.objects.filter(enabled=True).order_by("pk"))
        except (OperationalError, InterfaceError):
            if self._signature is None:
                raise
            logger.warning("the moderators' rules cannot be read; those of before stay in force")
            return
        signature = [(row.pk, row.changed_at) for row in rows]
        if signature == self._signature:
            return
        compiled = []
        for row in rows:
            try:
                rule = compile_rule(row.kind, row.config)
            except (ValueError, KeyError, ImportError):
                # The admin lets none in; a kind may have been taken out of the settings since.
                logger.exception("rule %d cannot be used", row.pk)
                continue
            compiled.append(_Compiled(row.pk, row.outcome == FilterRule.Outcome.REFUSE, rule))
        self._rules, self._signature = tuple(compiled), signature

    def idle(self, sender: UserId) -> bool:
        """Return whether there are no rules, and no limit on the sender."""
        return not self._rules and sender not in self._limited

    def may_begin(self, user: UserId) -> None:
        """Count a conversation that a user begins. Raises RateLimited."""
        if user in self._limited:
            limits.begin(user)

    def screen(self, draft: Draft) -> tuple[int, ...]:
        """Return the rules that want moderators to look at a text.

        Raises:
            NotAccepted: a rule refuses it. RateLimited: moderators limit how much its sender sends.
        """
        if draft.sender in self._limited:
            limits.take(draft)
        wanted = []
        for compiled in self._rules:
            if compiled.rule.matches(draft):
                MATCHED.labels("refuse" if compiled.refuses else "flag").inc()
                if compiled.refuses:
                    raise NotAccepted
                wanted.append(compiled.pk)
        return tuple(wanted)

    def flag(
        self, *, rules: tuple[int, ...], draft: Draft, conversation_id: ConversationId, message_id: MessageId
    ) -> None:
        """Bring a message that is in the log to the moderators. Idempotent while its case is open."""
        with transaction.atomic():
            case, _ = Case.objects.get_or_create(
                kind=Case.Kind.MESSAGE,
                subject=ids.server_id(conversation_id, message_id),
                state=Case.State.OPEN,
                defaults={"accused_id": UserId(draft.sender)},
            )
            for rule in FilterRule.objects.filter(pk__in=rules):
                Flag.objects.get_or_create(case=case, rule=rule, defaults={"text": draft.body})
