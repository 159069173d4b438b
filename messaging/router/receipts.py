"""Receipts: stored in batches, passed on to the author and to the reader's other devices (design section 1, step 5)."""

import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

from messaging.domain import events, frames
from messaging.domain.authors import Authors
from messaging.domain.ids import ConversationId, UserId, server_id, user_ref
from messaging.domain.messages import Conversation, ConversationType, StoredReceipt
from messaging.ports import ConversationStore, MessageStore, Record
from messaging.router.apply import Applied

#: Who was a member may be so old where it decides over a mere delivery, which is told to nobody but the author.
_STANDING_TTL_S: Final = 30.0
_CAPACITY: Final = 10_000


def _is_member(user: UserId, conversation: Conversation | None) -> bool:
    """Return whether the user is a member now; of a large group, whose members are not at hand, everybody counts."""
    return conversation is not None and (conversation.members is None or user in conversation.members)


class ReceiptApplier:
    """Applies records of the ``receipts`` topic. Synchronous: one crossing per poll; may be repeated."""

    def __init__(self, *, messages: MessageStore, conversations: ConversationStore, authors: Authors) -> None:
        self._messages = messages
        self._conversations = conversations
        self._authors = authors
        #: Conversations, and until when (monotonic s) they serve.
        self._kept: OrderedDict[ConversationId, tuple[float, Conversation]] = OrderedDict()

    def apply(self, records: Sequence[Record]) -> Applied:
        """Store the receipts and return the frames that tell of them.

        Best effort: those of unknown messages, and of users who are no members now, are skipped.

        Raises:
            Exception: a store failed; the records come again.
        """
        receipts: list[events.Receipt] = []
        poison: list[tuple[Record, str]] = []
        for record in records:
            try:
                receipts += events.decode_receipts(record.payload).receipts
            except events.Poison as error:
                poison.append((record, str(error)))
        self._find_authors(receipts)
        conversations = self._standing(receipts)
        receipts = [
            receipt for receipt in receipts if _is_member(receipt.user, conversations.get(receipt.conversation))
        ]
        delivered = [
            receipt
            for receipt in receipts
            if receipt.kind == "delivered"
            # Thousands for each message help nobody (docs/decisions/0090).
            and conversations[receipt.conversation].type is not ConversationType.GROUP_LARGE
            and self._authors.get(receipt.conversation, receipt.message) not in (None, receipt.user)
        ]
        self._messages.save_receipts(
            [StoredReceipt(r.conversation, r.message, r.user, r.device, r.at_ms) for r in delivered]
        )
        reads = self._newest_reads(receipts)
        self._conversations.mark_read([(user, conversation, r.message) for (user, conversation), r in reads.items()])
        told = [*self._tell_delivered(delivered, conversations), *self._tell_read(reads.values(), conversations)]
        marks = [events.ReadMark(user, where, r.message, r.device) for (user, where), r in reads.items()]
        return Applied(told, poison, reads=marks)

    def _standing(self, receipts: Sequence[events.Receipt]) -> dict[ConversationId, Conversation]:
        """Return the conversations of receipts; those that matter to deliveries alone as they were a moment ago."""
        now = time.monotonic()
        known: dict[ConversationId, Conversation] = {}
        wanted: set[ConversationId] = set()
        for receipt in receipts:
            kept = self._kept.get(receipt.conversation)
            # Who is no member in what was kept may have joined since.
            if kept and receipt.kind == "delivered" and now < kept[0] and _is_member(receipt.user, kept[1]):
                known[receipt.conversation] = kept[1]
            else:
                wanted.add(receipt.conversation)
        found = self._conversations.get(wanted)
        for id_, conversation in found.items():
            self._kept[id_] = (now + _STANDING_TTL_S, conversation)
            self._kept.move_to_end(id_)
        while len(self._kept) > _CAPACITY:
            self._kept.popitem(last=False)
        return known | found

    def _find_authors(self, receipts: Sequence[events.Receipt]) -> None:
        self._authors.remember((r.conversation, r.message, r.author) for r in receipts if r.author is not None)
        unknown = {
            (r.conversation, r.message) for r in receipts if self._authors.get(r.conversation, r.message) is None
        }
        if unknown:
            found = self._messages.get(list(unknown))
            self._authors.remember((c, m, row.sender_id) for (c, m), row in found.items())

    def _newest_reads(self, receipts: Sequence[events.Receipt]) -> dict[tuple[UserId, ConversationId], events.Receipt]:
        newest: dict[tuple[UserId, ConversationId], events.Receipt] = {}
        for receipt in receipts:
            # A mark on a message that does not exist could hide what comes later.
            if receipt.kind != "read" or self._authors.get(receipt.conversation, receipt.message) is None:
                continue
            key = (receipt.user, receipt.conversation)
            if key not in newest or newest[key].message < receipt.message:
                newest[key] = receipt
        return newest

    def _tell_delivered(
        self, delivered: Sequence[events.Receipt], conversations: dict[ConversationId, Conversation]
    ) -> list[events.Deliver]:
        told: list[events.Deliver] = []
        for receipt in delivered:
            author = self._authors.get(receipt.conversation, receipt.message)
            conversation = conversations[receipt.conversation]
            if author is None or not _is_member(author, conversation):
                continue
            frame = frames.DeliveredEvent(
                server_id(receipt.conversation, receipt.message), user_ref(receipt.user), receipt.at_ms
            )
            told.append(events.Deliver([author], frame, ephemeral=True))
        return told

    def _tell_read(
        self, reads: Iterable[events.Receipt], conversations: dict[ConversationId, Conversation]
    ) -> list[events.Deliver]:
        told: list[events.Deliver] = []
        for receipt in reads:
            members = conversations[receipt.conversation].members
            users = [receipt.user] if members is None else list(members)
            frame = frames.ReadEvent(
                server_id(receipt.conversation, receipt.message), user_ref(receipt.user), receipt.at_ms
            )
            told.append(events.Deliver(users, frame, ephemeral=True))
        return told
