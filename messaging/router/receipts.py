"""Receipts: stored in batches, passed on to the author and to the reader's other devices (design section 1, step 5)."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from messaging.domain import events, frames
from messaging.domain.ids import ConversationId, MessageId, UserId, server_id, user_ref
from messaging.domain.messages import Conversation, ConversationType, StoredReceipt
from messaging.ports import ConversationStore, MessageStore, Record
from messaging.router.apply import Applied

_CAPACITY = 100_000


class Authors:
    """Who wrote the recent messages, so that most receipts need no query. Bounded."""

    def __init__(self) -> None:
        self._authors: OrderedDict[tuple[ConversationId, MessageId], UserId] = OrderedDict()

    def remember(self, authors: Iterable[tuple[ConversationId, MessageId, UserId]]) -> None:
        """Note who wrote what."""
        for conversation, message, author in authors:
            self._authors[conversation, message] = author
        while len(self._authors) > _CAPACITY:
            self._authors.popitem(last=False)

    def get(self, conversation: ConversationId, message: MessageId) -> UserId | None:
        """Return the author, where it is remembered."""
        return self._authors.get((conversation, message))


def _is_member(user: UserId, conversation: Conversation | None) -> bool:
    """Return whether the user is a member now; of a large group, whose members are not at hand, everybody counts."""
    return conversation is not None and (conversation.members is None or user in conversation.members)


class ReceiptApplier:
    """Applies records of the ``receipts`` topic. Synchronous: one crossing per poll; may be repeated."""

    def __init__(self, *, messages: MessageStore, conversations: ConversationStore, authors: Authors) -> None:
        self._messages = messages
        self._conversations = conversations
        self._authors = authors

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
        conversations = self._conversations.get({receipt.conversation for receipt in receipts})
        receipts = [
            receipt for receipt in receipts if _is_member(receipt.user, conversations.get(receipt.conversation))
        ]
        delivered = [
            receipt
            for receipt in receipts
            if receipt.kind == "delivered"
            and self._authors.get(receipt.conversation, receipt.message) not in (None, receipt.user)
        ]
        self._messages.save_receipts(
            [StoredReceipt(r.conversation, r.message, r.user, r.device, r.at_ms) for r in delivered]
        )
        reads = self._newest_reads(receipts)
        self._conversations.mark_read([(user, conversation, r.message) for (user, conversation), r in reads.items()])
        told = [*self._tell_delivered(delivered, conversations), *self._tell_read(reads.values(), conversations)]
        return Applied(told, poison)

    def _find_authors(self, receipts: Sequence[events.Receipt]) -> None:
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
            # Thousands of ticks per message help nobody: large groups count them in the store only.
            if author is None or conversation.type is ConversationType.GROUP_LARGE:
                continue
            if not _is_member(author, conversation):
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
