"""The messages that the changes of one poll are about, as they stand at each place of it."""

from collections.abc import Iterable
from dataclasses import replace

from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.messages import MessageChangeKind, StoredChange, StoredMessage
from messaging.ports import MessageStore

Ref = tuple[ConversationId, MessageId]


class Targets:
    """What the store says, with what the poll has done so far on top."""

    def __init__(self, store: MessageStore) -> None:
        self._store = store
        self._messages: dict[Ref, StoredMessage] = {}
        #: How many have put each emoji, and which ones a user has put.
        self._counts: dict[Ref, dict[str, int]] = {}
        self._mine: dict[tuple[Ref, UserId], set[str]] = {}
        #: What is pinned in the conversations where this poll pins something.
        self._pinned: dict[ConversationId, set[MessageId]] = {}

    def load(
        self, targets: Iterable[Ref], reacting: Iterable[tuple[Ref, UserId]], pinning: Iterable[ConversationId]
    ) -> None:
        """Read the targets, the reactions as each of those who react sees them, and the pins where there will be more.

        A query, and one for each user and conversation of these.
        """
        wanted = list(set(targets))
        if wanted:
            self._messages = self._store.get(wanted)
        refs_of: dict[UserId, set[Ref]] = {}
        for ref, user in reacting:
            refs_of.setdefault(user, set()).add(ref)
        for user, refs in refs_of.items():
            found = self._store.reactions(list(refs), viewer=user)
            for ref in refs:
                tallies = found.get(ref, [])
                self._counts[ref] = {tally.emoji: tally.count for tally in tallies}
                self._mine[ref, user] = {tally.emoji for tally in tallies if tally.mine}
        for conversation in set(pinning):
            self._pinned[conversation] = {pin.message_id for pin in self._store.pins(conversation)}

    def add(self, message: StoredMessage) -> None:
        """Note a message of this poll. One that is read again stays as the store has it, with what was folded in."""
        self._messages.setdefault((message.conversation_id, message.message_id), message)

    def get(self, ref: Ref) -> StoredMessage | None:
        """Return the message as it is at this place; None where there is none."""
        return self._messages.get(ref)

    def emoji_of(self, ref: Ref, user: UserId) -> set[str]:
        """Return what the user has put to the message."""
        return self._mine.setdefault((ref, user), set())

    def counts(self, ref: Ref) -> dict[str, int]:
        """Return how many have put each emoji to the message."""
        return self._counts.setdefault(ref, {})

    def pinned(self, conversation: ConversationId) -> set[MessageId]:
        """Return what is pinned in a conversation in which this poll pins something."""
        return self._pinned[conversation]

    def fold(self, change: StoredChange) -> StoredChange:
        """Make a change count for those after it; return it with its ``count``."""
        ref = (change.conversation_id, change.target_id)
        if change.kind is MessageChangeKind.REACT:
            mine, counts = self.emoji_of(ref, change.actor_id), self.counts(ref)
            if change.on and change.emoji not in mine:
                mine.add(change.emoji)
                counts[change.emoji] = counts.get(change.emoji, 0) + 1
            elif not change.on and change.emoji in mine:
                mine.remove(change.emoji)
                counts[change.emoji] -= 1
                if not counts[change.emoji]:
                    del counts[change.emoji]
            return replace(change, count=counts.get(change.emoji, 0))
        self._pin(change)
        target = self._messages.get(ref)
        if target is not None:
            self._messages[ref] = _folded(target, change)
        return change

    def _pin(self, change: StoredChange) -> None:
        """Note a pin, and what takes one down, where the pins of the conversation are known here."""
        pinned = self._pinned.get(change.conversation_id)
        if pinned is None:
            return
        if change.kind is MessageChangeKind.PIN and change.on:
            pinned.add(change.target_id)
        elif change.kind in (MessageChangeKind.PIN, MessageChangeKind.DELETE, MessageChangeKind.TAKEDOWN):
            pinned.discard(change.target_id)


def _folded(target: StoredMessage, change: StoredChange) -> StoredMessage:
    """Return the message with an edit, a deletion or a decision of moderators in it, where it has no newer one."""
    at = change.change_id
    match change.kind:
        case MessageChangeKind.EDIT if (target.edit_id or 0) < at:
            return replace(target, edit_id=at, edited_body=change.body)
        case MessageChangeKind.DELETE:
            return replace(target, delete_id=target.delete_id or at)
        case MessageChangeKind.TAKEDOWN | MessageChangeKind.RESTORE if (target.takedown_id or 0) < at:
            return replace(target, takedown_id=at, withheld=change.kind is MessageChangeKind.TAKEDOWN)
    return target
