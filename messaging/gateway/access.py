"""What the pod remembers of who may write where, so that a send does not touch the database.

Entries live half a minute and are dropped at once when the router says that a conversation changed.
The router checks the sender again at the record's place in the log, so a stale entry cannot let a
removed member in. So whoever was allowed to write a while ago may go on while nobody can be asked.

Whatever has to be asked takes along what is used and nearly over: twenty answers cost the stores little more than one.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice

from messaging.batching import Batcher
from messaging.domain.errors import ChatError, Unavailable
from messaging.domain.ids import ConversationId, UserId
from messaging.selectors import access
from messaging.selectors.access import Room
from messaging.threads import DatabaseThreads

_TTL_S = 30.0
_NEGATIVE_TTL_S = 2.0
#: Where nobody can be asked, who was allowed to write in the last minutes may go on.
_STALE_S = 600.0
#: An answer with less left than this travels with the next question, and so many of the oldest are looked at.
_NEARLY_OVER_S = 10.0
_LOOKED_AT = 50
_CAPACITY = 200_000


@dataclass(slots=True)
class _Verdict:
    until: float
    refusal: type[ChatError] | None
    detail: str
    room: Room | None
    #: Since it was stored, or asked for again.
    used: bool = False


class AccessCache:
    """May this user write here, and who else is there? Bounded; the oldest answers go first."""

    def __init__(self, database: DatabaseThreads) -> None:
        self._senders: Batcher[tuple[ConversationId, UserId], Room] = Batcher(database, access.senders)
        self._verdicts: OrderedDict[tuple[ConversationId, UserId], _Verdict] = OrderedDict()
        #: What was allowed, and is over; the one that is over for the longest goes first.
        self._over: OrderedDict[tuple[ConversationId, UserId], _Verdict] = OrderedDict()
        #: Of both.
        self._by_conversation: dict[ConversationId, set[UserId]] = {}
        #: How often anything was invalidated.
        self._changes = 0

    def cached(self, user: UserId, conversation: ConversationId, now: float) -> Room | None:
        """Return what the user meets there, if he may write; None where it is not known.

        Raises:
            ChatError: the user may not.
        """
        verdict = self._verdicts.get((conversation, user))
        if verdict is None or verdict.until <= now:
            return None
        verdict.used = True
        if verdict.refusal is not None:
            raise verdict.refusal(verdict.detail)
        return verdict.room

    async def require(self, user: UserId, conversation: ConversationId, now: float) -> Room:
        """Return what the user meets there, asking the database where it must.

        Raises:
            NotFound, Blocked: the user may not write. Unavailable: nobody can be asked, and it was not known lately.
        """
        known = self.cached(user, conversation, now)
        if known is not None:
            return known
        answer = self._ask((conversation, user), now)
        self._ask_again(now)
        try:
            return await asyncio.shield(answer)
        except Unavailable:
            key = (conversation, user)
            before = self._over.get(key) or self._verdicts.get(key)
            if before is None or before.room is None or before.until + _STALE_S <= now:
                raise
            return before.room

    def _ask(self, key: tuple[ConversationId, UserId], now: float) -> "asyncio.Future[Room]":
        """Return what will hold the answer; it is kept, unless something changes meanwhile. Raises Unavailable."""
        changes = self._changes

        def keep(answer: "asyncio.Future[Room]") -> None:
            # The database was asked before something changed: good for this once, but not to be kept.
            if answer.cancelled() or changes != self._changes:
                return
            error = answer.exception()
            if error is None:
                self._store(*key, _Verdict(now + _TTL_S, None, "", answer.result()))
            elif isinstance(error, ChatError) and not isinstance(error, Unavailable):
                self._store(*key, _Verdict(now + _NEGATIVE_TTL_S, type(error), error.detail, None))

        answer = self._senders.ask(key)
        answer.add_done_callback(keep)
        return answer

    def _ask_again(self, now: float) -> None:
        """Ask for the oldest answers that are used and nearly over, and put aside or forget those that are over."""
        for key, verdict in list(islice(self._verdicts.items(), _LOOKED_AT)):
            if verdict.until <= now and verdict.room is None:
                self._forget(*key)
            elif verdict.until <= now:
                self._over[key] = self._verdicts.pop(key)
            elif verdict.used and verdict.refusal is None and verdict.until <= now + _NEARLY_OVER_S:
                verdict.used = False
                try:
                    self._ask(key, now)
                except Unavailable:
                    break
        for key, verdict in list(islice(self._over.items(), _LOOKED_AT)):
            if verdict.until + _STALE_S > now:
                break
            self._forget(*key)

    def _store(self, conversation: ConversationId, user: UserId, verdict: _Verdict) -> None:
        self._over.pop((conversation, user), None)
        self._verdicts[conversation, user] = verdict
        self._verdicts.move_to_end((conversation, user))
        self._by_conversation.setdefault(conversation, set()).add(user)
        if len(self._verdicts) + len(self._over) > _CAPACITY:
            self._forget(*next(iter(self._over or self._verdicts)))

    def _forget(self, conversation: ConversationId, user: UserId) -> None:
        self._verdicts.pop((conversation, user), None)
        self._over.pop((conversation, user), None)
        users = self._by_conversation.get(conversation)
        if users is not None:
            users.discard(user)
            if not users:
                del self._by_conversation[conversation]

    def invalidate(self, conversation: ConversationId) -> None:
        """Forget all verdicts about a conversation."""
        self._changes += 1
        for user in list(self._by_conversation.get(conversation, ())):
            self._forget(conversation, user)

    def invalidate_pair(self, user: UserId, other: UserId) -> None:
        """Forget every verdict of two users about conversations they share: one blocked the other."""
        self._changes += 1
        for conversation, who in [key for key in (*self._verdicts, *self._over) if key[1] in (user, other)]:
            self._forget(conversation, who)
