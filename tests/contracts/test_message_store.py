"""What every MessageStore promises. Another adapter plugs in by one more entry in FACTORIES."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, permutations
from uuid import uuid4

import pytest
from django.db import connections

from messaging.adapters.cassandra.conversations import CassandraConversationStore
from messaging.adapters.cassandra.layout import BUCKET_MS
from messaging.adapters.cassandra.messages import CassandraMessageStore
from messaging.adapters.orm.conversations import OrmConversationStore
from messaging.adapters.orm.messages import OrmMessageStore
from messaging.domain.ids import (
    MODERATORS,
    TIME_SHIFT,
    ConversationId,
    DeviceId,
    MessageId,
    UserId,
    in_sub,
    new_random_id,
)
from messaging.domain.mentions import EVERYBODY
from messaging.domain.messages import (
    TALLY_USERS,
    Chain,
    ConversationType,
    DedupeKey,
    MessageChangeKind,
    Pin,
    StoredChange,
    StoredMessage,
    StoredReceipt,
    Tally,
    Unread,
)
from messaging.ports import ConversationStore, Expired, MessageStore, NewConversation, Overtaken

Pair = tuple[MessageStore, ConversationStore]


def on_cassandra(request: pytest.FixtureRequest) -> Pair:
    session = request.getfixturevalue("cassandra")
    return CassandraMessageStore(session), CassandraConversationStore(session, max_inline=100)


def on_postgresql(request: pytest.FixtureRequest) -> Pair:
    alias = request.getfixturevalue("postgresql")
    return OrmMessageStore(using=alias), OrmConversationStore(max_inline=100, using=alias)


FACTORIES: dict[str, Callable[[pytest.FixtureRequest], Pair]] = {
    "orm": lambda request: (OrmMessageStore(), OrmConversationStore(max_inline=100)),
    "orm-postgresql": on_postgresql,
    "cassandra": on_cassandra,
}
ANN, BOB = UserId(11), UserId(22)

pytestmark = pytest.mark.django_db


@pytest.fixture(params=FACTORIES)
def stores(request: pytest.FixtureRequest) -> Pair:
    return FACTORIES[request.param](request)


@pytest.fixture
def store(stores: Pair) -> MessageStore:
    return stores[0]


@pytest.fixture
def conversation(stores: Pair) -> ConversationId:
    new = NewConversation(ConversationId(new_random_id()), ConversationType.DM, ANN, (ANN, BOB))
    return stores[1].create(new)[0].id


def text(conversation: ConversationId, number: int, sender: UserId = ANN, **more: object) -> StoredMessage:
    fields = {"client_msg_id": uuid4().bytes, "body": f"message {number}", **more}
    return StoredMessage(conversation, MessageId(number), sender, **fields)  # type: ignore[arg-type]


def last_id(stores: Pair, conversation: ConversationId) -> int | None:
    return stores[1].get([conversation])[conversation].last_message_id


def test_a_stored_message_comes_back_as_it_was(store: MessageStore, conversation: ConversationId) -> None:
    message = text(
        conversation,
        5,
        body="héllo 👋\n",
        media=["a/b", "ü"],
        prev_id=MessageId(4),
        reply_to=MessageId(2),
        kind="event",
        mentions=[BOB, EVERYBODY],
    )
    store.upsert([message])
    assert store.get([(conversation, MessageId(5)), (conversation, MessageId(6))]) == {(conversation, 5): message}


def test_ids_use_all_63_bits(store: MessageStore, conversation: ConversationId) -> None:
    before = text(conversation, (1 << 63) - 2)
    message = text(conversation, (1 << 63) - 1, prev_id=before.message_id)
    store.upsert([before, message])
    assert store.newest(conversation, limit=2) == [message, before]


def test_writing_twice_changes_nothing(stores: Pair, conversation: ConversationId) -> None:
    store = stores[0]
    message = text(conversation, 5)
    for _ in range(2):
        store.upsert([message, text(conversation, 7, client_msg_id=b"7" * 16)])
    assert [m.message_id for m in store.newest(conversation, limit=10)] == [7, 5]
    store.upsert([replace(message, body="another text")])
    assert store.get([(conversation, message.message_id)])[conversation, message.message_id].body == "message 5"


def test_a_second_copy_of_a_client_id_is_not_stored(stores: Pair, conversation: ConversationId) -> None:
    store = stores[0]
    first = text(conversation, 5)
    store.upsert([first])
    store.upsert([replace(first, message_id=MessageId(9))])
    assert [m.message_id for m in store.newest(conversation, limit=10)] == [5]
    assert last_id(stores, conversation) == 5


def test_what_was_placed_before_need_not_be_looked_up_again(stores: Pair, conversation: ConversationId) -> None:
    """As the router stores a poll of which a part was stored before, since it is read again."""
    store = stores[0]
    first, second = text(conversation, 5), text(conversation, 7, prev_id=MessageId(5))
    keys = [DedupeKey(conversation, ANN, m.client_msg_id) for m in (first, second)]
    assert store.find_placed(keys) == {}
    store.upsert([first], placed={})
    placed = store.find_placed(keys)
    store.upsert([replace(first, body="another text"), second], placed=placed)
    assert store.newest(conversation, limit=10) == [second, first]
    assert last_id(stores, conversation) == 7


def test_find_placed_tells_where_the_first_copy_stands(store: MessageStore, conversation: ConversationId) -> None:
    messages = [text(conversation, n, prev_id=MessageId(n - 1)) for n in range(2, 702)]
    store.upsert(messages)
    keys = [DedupeKey(conversation, ANN, m.client_msg_id) for m in messages]
    unknown = [
        DedupeKey(conversation, BOB, messages[0].client_msg_id),
        DedupeKey(ConversationId(3), ANN, messages[0].client_msg_id),
    ]
    placed = store.find_placed([*keys, *unknown])
    assert {key: (at.message_id, at.prev_id) for key, at in placed.items()} == {
        key: (m.message_id, m.prev_id) for key, m in zip(keys, messages, strict=True)
    }
    assert store.find_placed([]) == {}


def test_last_message_moves_forward_only(stores: Pair, conversation: ConversationId) -> None:
    assert last_id(stores, conversation) is None
    for number, expected in ((5, 5), (9, 9), (7, 9)):
        stores[0].upsert([text(conversation, number)])
        assert last_id(stores, conversation) == expected


def test_newest_and_oldest_after_keep_their_bounds(store: MessageStore, conversation: ConversationId) -> None:
    store.upsert([text(conversation, n) for n in range(1, 11)])
    store.upsert([text(ConversationId(4), 99)])

    def newest(**bounds: int) -> list[int]:
        return [m.message_id for m in store.newest(conversation, **bounds)]  # type: ignore[arg-type]

    def oldest(**bounds: int) -> list[int]:
        return [m.message_id for m in store.oldest_after(conversation, **bounds)]  # type: ignore[arg-type]

    assert newest(limit=3) == [10, 9, 8]
    assert newest(before=8, limit=2) == [7, 6]
    assert newest(upto=8, limit=2) == [8, 7]
    assert newest(after=8, limit=5) == [10, 9]
    assert newest(after=2, before=6, upto=4, limit=5) == [4, 3]
    assert oldest(after=3, limit=2) == [4, 5]
    assert oldest(after=8, upto=9, limit=5) == [9]
    assert oldest(after=10, limit=5) == []


def test_unread_counts_others_texts_up_to_the_cap(store: MessageStore, conversation: ConversationId) -> None:
    other = ConversationId(4)
    store.upsert([text(conversation, n, BOB) for n in range(1, 31)])
    store.upsert([text(conversation, n, ANN) for n in range(31, 41)])
    store.upsert([text(conversation, 41, BOB, kind="event", body="{}"), text(other, 50, BOB)])
    counts = store.count_unread(ANN, {conversation: MessageId(10), other: MessageId(50)}, cap=100)
    assert counts == {conversation: Unread(20), other: Unread(0)}
    assert store.count_unread(ANN, {conversation: MessageId(10)}, cap=7) == {conversation: Unread(7)}
    assert store.count_unread(BOB, {conversation: MessageId(0)}, cap=100) == {conversation: Unread(10)}
    assert store.count_unread(ANN, {}, cap=100) == {}


def test_an_unread_mention_is_told_as_it_is_now(store: MessageStore, conversation: ConversationId) -> None:
    def is_mentioned(user: UserId, since: int) -> bool:
        return store.count_unread(user, {conversation: MessageId(since)}, cap=100)[conversation].mentioned

    other = UserId(111)
    store.upsert(
        [
            text(conversation, 1, BOB, mentions=[other, ANN]),
            text(conversation, 2, BOB, mentions=[EVERYBODY]),
            text(conversation, 3, BOB, mentions=[ANN]),
            text(conversation, 4, BOB, mentions=[ANN]),
            text(conversation, 5, ANN, mentions=[ANN]),
            text(conversation, 6, BOB),
        ],
    )
    assert [is_mentioned(ANN, since) for since in range(6)] == [True, True, True, True, False, False]
    assert [is_mentioned(other, since) for since in (0, 1, 2)] == [True, True, False]
    assert not is_mentioned(UserId(1), 2), "an id within another's"
    changes = [
        change(conversation, 7, 3, "delete", BOB),
        change(conversation, 8, 4, "edit", BOB, body="not you", mentions=[other]),
    ]
    store.upsert([], changes=changes)
    assert [is_mentioned(ANN, since) for since in range(4)] == [True, True, False, False]
    assert is_mentioned(other, 3)
    store.upsert([], changes=[change(conversation, 9, 4, "edit", BOB, body="you after all", mentions=[ANN])])
    assert (is_mentioned(ANN, 3), is_mentioned(other, 3)) == (True, False)
    assert one(store, conversation, 4).mentioned == [ANN]
    assert one(store, conversation, 4).mentions == [ANN]
    assert one(store, conversation, 3).mentioned == []
    for number, kind in ((10, "takedown"), (11, "restore")):
        store.upsert([], changes=[change(conversation, number, 4, kind, MODERATORS)])
        assert is_mentioned(ANN, 3) is (kind == "restore")


def test_receipts_may_come_twice(store: MessageStore, conversation: ConversationId) -> None:
    receipts = [StoredReceipt(conversation, MessageId(n), BOB, DeviceId(1), 1_000 + n) for n in range(1, 4)]
    store.save_receipts(receipts)
    store.save_receipts([*receipts, replace(receipts[0], delivered_at_ms=9_999)])
    store.save_receipts([])


def test_nothing_to_store_is_no_error(store: MessageStore) -> None:
    store.upsert([])
    assert store.get([]) == {}


# --- changes --------------------------------------------------------------------------------------


def change(
    conversation: ConversationId, number: int, target: int, kind: str, actor: UserId = ANN, **more: object
) -> StoredChange:
    fields = {"client_msg_id": uuid4().bytes, **more}
    return StoredChange(
        conversation,
        MessageId(number),
        MessageId(target),
        actor,
        kind=MessageChangeKind(kind),
        **fields,  # type: ignore[arg-type]
    )


def react(
    conversation: ConversationId, number: int, target: int, actor: UserId, emoji: str = "👍", *, on: bool = True
) -> StoredChange:
    return change(conversation, number, target, "react", actor, emoji=emoji, on=on)


def one(store: MessageStore, conversation: ConversationId, number: int) -> StoredMessage:
    return store.get([(conversation, MessageId(number))])[conversation, MessageId(number)]


def last_row(stores: Pair, conversation: ConversationId) -> int | None:
    return stores[1].get([conversation])[conversation].mark.get(0)


def test_a_stored_change_comes_back_as_it_was(store: MessageStore, conversation: ConversationId) -> None:
    changes = [
        change(conversation, 6, 5, "edit", body="héllo 👋\n", prev_id=MessageId(5), mentions=[BOB, EVERYBODY]),
        change(conversation, 7, 5, "react", BOB, emoji="👨‍👩‍👧‍👦", on=True, count=3, prev_id=MessageId(6)),
        change(conversation, 8, 5, "takedown", MODERATORS, prev_id=MessageId(7)),
        change(conversation, 9, 5, "restore", MODERATORS, prev_id=MessageId(8)),
        change(conversation, (1 << 63) - 1, 5, "delete"),
    ]
    store.upsert([text(conversation, 5)], changes=changes)
    assert store.newest_changes(conversation, limit=10) == changes[::-1]


def test_a_forwarded_message_stays_one(store: MessageStore, conversation: ConversationId) -> None:
    messages = [text(conversation, 5, forwarded=True), text(conversation, 6)]
    store.upsert(messages)
    assert store.newest(conversation, limit=2) == messages[::-1]


def test_changes_keep_their_bounds_and_are_no_messages(store: MessageStore, conversation: ConversationId) -> None:
    changes = [change(conversation, n, 1, "edit", body=str(n)) for n in range(2, 8)]
    store.upsert([text(conversation, 1), text(conversation, 8)], changes=changes)

    def newest(**bounds: int) -> list[int]:
        return [it.change_id for it in store.newest_changes(conversation, **bounds)]  # type: ignore[arg-type]

    assert newest(limit=2) == [7, 6]
    assert newest(after=5, limit=9) == [7, 6]
    assert newest(after=3, upto=6, limit=9) == [6, 5, 4]
    assert store.newest_changes(ConversationId(4), limit=9) == []
    assert [m.message_id for m in store.newest(conversation, limit=9)] == [8, 1]


def test_the_last_row_is_of_either_kind_and_moves_forward_only(stores: Pair, conversation: ConversationId) -> None:
    store = stores[0]
    assert last_row(stores, conversation) is None
    store.upsert([text(conversation, 5)])
    store.upsert([], changes=[change(conversation, 6, 5, "edit", body="x")])
    assert (last_id(stores, conversation), last_row(stores, conversation)) == (5, 6)
    store.upsert([text(conversation, 7)], changes=[change(conversation, 8, 5, "edit", body="x")])
    store.upsert([text(conversation, 3)], changes=[change(conversation, 4, 3, "edit", body="x")])
    assert (last_id(stores, conversation), last_row(stores, conversation)) == (7, 8)
    assert stores[1].memberships(ANN, [conversation])[conversation].chains == {0: Chain(MessageId(0), MessageId(8))}


def test_find_placed_knows_changes(store: MessageStore, conversation: ConversationId) -> None:
    it = change(conversation, 6, 5, "edit", body="x", prev_id=MessageId(5))
    store.upsert([text(conversation, 5)], changes=[it])
    key = DedupeKey(conversation, ANN, it.client_msg_id)
    [(found, at)] = store.find_placed([key]).items()
    assert (found, at.message_id, at.prev_id) == (key, 6, 5)


def test_a_second_copy_of_a_change_is_not_stored(stores: Pair, conversation: ConversationId) -> None:
    store = stores[0]
    first = change(conversation, 6, 5, "edit", body="first")
    store.upsert([text(conversation, 5)], changes=[first])
    store.upsert([], changes=[replace(first, change_id=MessageId(9), body="second")])
    assert store.newest_changes(conversation, limit=10) == [first]
    assert one(store, conversation, 5).text == "first"
    assert last_row(stores, conversation) == 6


def test_changes_are_folded_in_whatever_order_they_are_written(stores: Pair, conversation: ConversationId) -> None:
    store = stores[0]
    numbers = range(10, 10 * 25, 10)
    for first, order in zip(numbers, permutations(range(4)), strict=True):
        store.upsert([text(conversation, first, body="first")])
        changes = [
            change(conversation, first + 1, first, "edit", body="zzz older"),
            change(conversation, first + 2, first, "edit", body="newer"),
            react(conversation, first + 3, first, BOB),
            react(conversation, first + 4, first, BOB, on=False),
        ]
        for number in order:
            store.upsert([], changes=[changes[number]])
        row = one(store, conversation, first)
        assert (row.body, row.edit_id, row.edited_body) == ("first", first + 2, "newer")
        assert store.reactions([(conversation, MessageId(first))], viewer=BOB) == {}


def test_the_newest_deletion_stands_and_the_text_is_kept(store: MessageStore, conversation: ConversationId) -> None:
    for first, order in ((10, (1, 2)), (20, (2, 1))):
        store.upsert([text(conversation, first, body="x")])
        for number in order:
            deletion = change(conversation, first + number, first, "delete")
            store.upsert([], changes=[deletion])
        row = one(store, conversation, first)
        assert (row.body, row.text, row.delete_id) == ("x", "", first + 2)


def test_the_newest_decision_of_moderators_stands_and_the_text_is_kept(
    store: MessageStore, conversation: ConversationId
) -> None:
    for first, order in zip(range(10, 70, 10), permutations(range(1, 4)), strict=True):
        store.upsert([text(conversation, first, body="x")])
        for number in order:
            kind = "takedown" if number % 2 else "restore"
            store.upsert([], changes=[change(conversation, first + number, first, kind, MODERATORS)])
        row = one(store, conversation, first)
        assert (row.body, row.text, row.withheld, row.takedown_id) == ("x", "", True, first + 3)
        store.upsert([], changes=[change(conversation, first + 4, first, "restore", MODERATORS)])
        row = one(store, conversation, first)
        assert (row.text, row.withheld, row.takedown_id) == ("x", False, first + 4)


def pin(conversation: ConversationId, number: int, target: int, actor: UserId, *, on: bool = True) -> StoredChange:
    return change(conversation, number, target, "pin", actor, on=on)


def test_the_newest_pin_of_a_message_stands(store: MessageStore, conversation: ConversationId) -> None:
    for first, order in zip(range(10, 70, 10), permutations(range(3)), strict=True):
        store.upsert([text(conversation, first)])
        changes = [
            pin(conversation, first + 1, first, ANN),
            pin(conversation, first + 2, first, BOB, on=False),
            pin(conversation, first + 3, first, BOB),
        ]
        for number in order:
            store.upsert([], changes=[changes[number]])
    pins = [Pin(MessageId(first), MessageId(first + 3), BOB) for first in range(60, 0, -10)]
    assert store.pins(conversation) == pins
    store.upsert([], changes=[pin(conversation, 71, 20, ANN, on=False), pin(conversation, 72, 10, ANN)])
    assert [it.message_id for it in store.pins(conversation)] == [10, 60, 50, 40, 30]
    assert store.pins(ConversationId(4)) == []


def test_what_is_deleted_or_was_withheld_is_not_pinned(store: MessageStore, conversation: ConversationId) -> None:
    store.upsert([text(conversation, number) for number in (10, 20, 30)])
    store.upsert([], changes=[pin(conversation, 40 + number, number, ANN) for number in (10, 20, 30)])
    store.upsert([], changes=[change(conversation, 80, 10, "delete")])
    store.upsert([], changes=[change(conversation, 81, 20, "takedown", MODERATORS)])
    assert [it.message_id for it in store.pins(conversation)] == [30]
    # Given back, it is not pinned again by that.
    store.upsert([], changes=[change(conversation, 82, 20, "restore", MODERATORS)])
    assert [it.message_id for it in store.pins(conversation)] == [30]
    store.upsert([], changes=[pin(conversation, 83, 20, BOB), pin(conversation, 84, 10, BOB)])
    assert [it.message_id for it in store.pins(conversation)] == [20, 30]


def test_folding_again_changes_nothing(store: MessageStore, conversation: ConversationId) -> None:
    messages = [text(conversation, 5)]
    changes = [
        change(conversation, 6, 5, "edit", body="older"),
        react(conversation, 7, 5, BOB),
        change(conversation, 8, 5, "edit", body="newer"),
        react(conversation, 9, 5, BOB, on=False),
        change(conversation, 10, 5, "takedown", MODERATORS),
        change(conversation, 11, 5, "restore", MODERATORS),
        pin(conversation, 12, 5, BOB),
    ]
    store.upsert(messages, changes=changes)

    def everything() -> object:
        refs = [(conversation, MessageId(5))]
        changes = store.newest_changes(conversation, limit=9)
        return store.get(refs), changes, store.reactions(refs, viewer=BOB), store.pins(conversation)

    before = everything()
    store.upsert(messages, changes=changes[:2])
    store.upsert(messages)
    assert everything() == before


def test_reactions_are_tallied(store: MessageStore, conversation: ConversationId) -> None:
    crowd = [UserId(100 + n) for n in range(TALLY_USERS + 4)]
    numbers = iter(range(10, 1_000))
    messages = [text(conversation, n) for n in (5, 6, 7)]
    changes = [react(conversation, next(numbers), 5, user) for user in crowd]
    changes += [
        react(conversation, next(numbers), 5, ANN, "🎉"),
        react(conversation, next(numbers), 5, crowd[0], on=False),
    ]
    changes.append(react(conversation, next(numbers), 6, BOB, "❤️"))
    store.upsert(messages, changes=changes)
    refs = [(conversation, MessageId(n)) for n in (5, 6, 7)]
    first_few = tuple(crowd[1 : TALLY_USERS + 1])
    assert store.reactions(refs, viewer=crowd[-1]) == {
        (conversation, 5): [
            Tally("👍", len(crowd) - 1, True, first_few),
            Tally("🎉", 1, False, (ANN,)),
        ],
        (conversation, 6): [Tally("❤️", 1, False, (BOB,))],
    }
    assert [it.mine for it in store.reactions(refs, viewer=ANN)[conversation, MessageId(5)]] == [False, True]
    assert store.reactions([], viewer=ANN) == {}


def test_changes_of_one_conversation_are_not_those_of_another(stores: Pair, conversation: ConversationId) -> None:
    store = stores[0]
    other = ConversationId(4)
    store.upsert([text(conversation, 5), text(other, 5)], changes=[react(other, 6, 5, ANN)])
    assert store.reactions([(conversation, MessageId(5))], viewer=ANN) == {}
    assert store.newest_changes(conversation, limit=9) == []
    assert last_row(stores, conversation) == 5


#: An id in the bucket of ten days with this number, in Cassandra.
def in_bucket(bucket: int, number: int = 1) -> int:
    return ((bucket * BUCKET_MS) << TIME_SHIFT) + number


class TestRetention:
    """Messages in four buckets, three in each; the second of each has an edit, a reaction and a pin, all a receipt."""

    @pytest.fixture
    def numbers(self, store: MessageStore, conversation: ConversationId) -> list[int]:
        numbers = [in_bucket(bucket, place) for bucket in (3, 4, 7, 9) for place in (10, 20, 30)]
        messages = [text(conversation, n, media=[f"media/{place}"]) for place, n in enumerate(numbers)]
        for before, after in pairwise(range(len(messages))):
            messages[after] = replace(messages[after], prev_id=messages[before].message_id)
        changes: list[StoredChange] = []
        for n in numbers[1::3]:
            changes += [change(conversation, n + 1, n, "edit", body="better"), react(conversation, n + 2, n, BOB)]
            changes.append(pin(conversation, n + 3, n, BOB))
        # Edited twice, long after.
        changes += [change(conversation, in_bucket(8, n), numbers[2], "edit", body="late") for n in (1, 2)]
        store.upsert(messages, changes=changes)
        store.save_receipts([StoredReceipt(conversation, MessageId(n), BOB, DeviceId(1), 5) for n in numbers])
        return numbers

    def left(self, store: MessageStore, conversation: ConversationId) -> list[int]:
        return [m.message_id for m in store.newest(conversation, limit=100)][::-1]

    def test_the_oldest_go_first_and_no_more_than_asked(
        self, store: MessageStore, conversation: ConversationId, numbers: list[int]
    ) -> None:
        before = MessageId(numbers[7])
        first = store.expired(conversation, before=before, keep=(), limit=5)
        assert first == Expired(MessageId(numbers[5]), 5, 0, tuple(f"media/{n}" for n in range(5)), True)
        store.delete_before(conversation, before=first.upto, keep=())
        assert self.left(store, conversation) == numbers[5:]
        second = store.expired(conversation, before=before, keep=(), limit=5)
        assert second == Expired(before, 2, 0, ("media/5", "media/6"), False)
        for _ in range(2):
            store.delete_before(conversation, before=before, keep=())
            assert self.left(store, conversation) == numbers[7:]
        assert store.expired(conversation, before=before, keep=(), limit=5) == Expired(before, 0, 0, (), False)

    @pytest.mark.parametrize("keep", [(), ((4, 5), (7, 7))], ids=["nothing kept", "some kept"])
    def test_all_that_belongs_to_a_message_goes_with_it(
        self, stores: Pair, conversation: ConversationId, numbers: list[int], keep: tuple[tuple[int, int], ...]
    ) -> None:
        store = stores[0]
        spans = [(MessageId(numbers[first] - 5), MessageId(numbers[last] + 5)) for first, last in keep]
        kept = [n for n in numbers[:9] if any(first <= n <= last for first, last in spans)]
        before = MessageId(in_bucket(8))
        found = store.expired(conversation, before=before, keep=spans, limit=50)
        assert (found.due, found.held, found.more) == (9 - len(kept), len(kept), False)
        store.delete_before(conversation, before=before, keep=spans)
        assert self.left(store, conversation) == [*kept, *numbers[9:]]
        changes = {it.change_id: it for it in store.newest_changes(conversation, limit=100)}
        edits = {n: changes[MessageId(n + 1)].body for n in numbers[1::3] if n + 1 in changes}
        assert edits == dict.fromkeys([n for n in (*kept, *numbers[9:]) if n in numbers[1::3]], "better")
        # They are newer: their places stay, and not the text.
        assert [changes[MessageId(in_bucket(8, n))].body for n in (1, 2)] == ["", ""]
        refs = [(conversation, MessageId(n)) for n in numbers]
        reacted = [target for _, target in store.reactions(refs, viewer=ANN)]
        assert sorted(reacted) == sorted(n for n in (*kept, *numbers[9:]) if n in numbers[1::3])
        assert rows_of(stores, "receipts", conversation) == sorted([*kept, *numbers[9:]])
        assert rows_of(stores, "message_pins", conversation, "target_id") == sorted(reacted)

    def test_the_edit_of_a_message_that_is_kept_is_kept(
        self, store: MessageStore, conversation: ConversationId, numbers: list[int]
    ) -> None:
        spans = [(MessageId(numbers[2]), MessageId(numbers[2]))]
        store.delete_before(conversation, before=MessageId(in_bucket(9)), keep=spans)
        found = {
            it.change_id: it.body for it in store.newest_changes(conversation, limit=100) if it.target_id < in_bucket(9)
        }
        assert found == {in_bucket(8, 1): "late", in_bucket(8, 2): "late"}
        assert one(store, conversation, numbers[2]).text == "late"

    def test_other_conversations_are_left_alone(
        self, stores: Pair, conversation: ConversationId, numbers: list[int]
    ) -> None:
        store = stores[0]
        new = NewConversation(ConversationId(new_random_id()), ConversationType.GROUP_SMALL, ANN, (ANN, BOB))
        other = stores[1].create(new)[0].id
        store.upsert([text(other, n) for n in numbers])
        store.delete_before(conversation, before=MessageId(in_bucket(99)), keep=())
        assert self.left(store, conversation) == []
        assert self.left(store, other) == numbers

    def test_what_is_written_afterwards_is_there(
        self, stores: Pair, conversation: ConversationId, numbers: list[int]
    ) -> None:
        """A deletion does not cover what the log still brings, though its time be earlier than the deletion's."""
        store = stores[0]
        store.delete_before(conversation, before=MessageId(in_bucket(9)), keep=())
        late = text(conversation, in_bucket(9, 40), prev_id=MessageId(numbers[-1]))
        store.upsert([late], changes=[change(conversation, in_bucket(9, 41), numbers[0], "edit", body="x")])
        assert self.left(store, conversation) == [*numbers[9:], in_bucket(9, 40)]
        # The edit's target is gone, and is not there again as a message of nobody.
        assert store.get([(conversation, MessageId(numbers[0]))]) == {}


class TestBlank:
    """What was said in a message goes, and the message keeps its place."""

    def test_nothing_is_left_of_what_it_said(self, stores: Pair, conversation: ConversationId) -> None:
        store = stores[0]
        said = [in_bucket(3), in_bucket(3, 2), in_bucket(4), in_bucket(5)]
        rows = [text(conversation, n, media=["media/1"], mentions=[BOB]) for n in said]
        rows = [replace(row, prev_id=before) for row, before in zip(rows, [None, *map(MessageId, said)], strict=False)]
        edits = [
            change(conversation, in_bucket(3, 3), said[0], "edit", body="better", mentions=[BOB]),
            # The newest, and in another bucket; a neighbour has one in between.
            change(conversation, in_bucket(6, 2), said[0], "edit", body="best", mentions=[BOB]),
            change(conversation, in_bucket(6), said[1], "edit", body="another's"),
            react(conversation, in_bucket(6, 3), said[0], BOB),
            change(conversation, in_bucket(6, 4), said[2], "delete"),
        ]
        store.upsert(rows, changes=edits)
        going = [MessageId(said[0]), MessageId(said[2]), MessageId(in_bucket(3, 77))]
        for _ in range(2):
            store.blank(conversation, going)
            found = {row.message_id: row for row in store.newest(conversation, limit=9)}
            assert sorted(found) == said
            for n in (said[0], said[2]):
                row = found[MessageId(n)]
                assert (row.body, row.edited_body, row.media, row.mentions, row.edited_mentions) == ("", "", [], [], [])
            assert [found[MessageId(n)].last_text for n in said] == ["", "another's", "", f"message {said[3]}"]
            assert (found[MessageId(said[0])].edit_id, found[MessageId(said[2])].delete_id) == (
                in_bucket(6, 2),
                in_bucket(6, 4),
            )
            assert found[MessageId(said[3])].media == ["media/1"]
            changes = {it.change_id: (it.body, it.mentions) for it in store.newest_changes(conversation, limit=9)}
            assert changes == {
                in_bucket(3, 3): ("", []),
                in_bucket(6, 2): ("", []),
                in_bucket(6): ("another's", []),
                in_bucket(6, 3): ("", []),
                in_bucket(6, 4): ("", []),
            }
            # What the log brings once more changes nothing.
            store.upsert(rows, changes=edits)
        assert len(store.reactions([(conversation, MessageId(said[0]))], viewer=ANN)) == 1


def rows_of(stores: Pair, table: str, conversation: ConversationId, column: str = "message_id") -> list[int]:
    """Return the message ids of the conversation's rows in a table that the port does not read, in order."""
    store: object = stores[0]
    if isinstance(store, CassandraMessageStore):
        rows = store._session.define(f"SELECT {column}, conversation_id FROM {store._session.keyspace}.{table}")
        return sorted(message for message, of in rows if of == conversation)
    assert isinstance(store, OrmMessageStore)
    with connections[store._using].cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table} WHERE conversation_id = %s", [conversation])
        return sorted(message for (message,) in cursor.fetchall())


# --- chains of a hot conversation -----------------------------------------------------------------


def hot(moment: int, sub: int) -> MessageId:
    return in_sub(moment << 22, sub)


def ends(stores: Pair, conversation: ConversationId) -> dict[int, tuple[int, int]]:
    found = stores[1].get([conversation])[conversation].chains
    assert stores[1].memberships(ANN, [conversation])[conversation].chains == found
    return {sub: (chain.first_id, chain.last_id) for sub, chain in found.items()}


def test_each_chain_moves_by_itself_and_forward_only(stores: Pair, conversation: ConversationId) -> None:
    store = stores[0]
    assert stores[1].set_hot(conversation, 8)
    store.upsert([text(conversation, hot(1, 0))])
    store.upsert([text(conversation, hot(5, 3)), text(conversation, hot(6, 3), prev_id=hot(5, 3))])
    # Behind what another chain has, and still its own newest.
    store.upsert([text(conversation, hot(4, 7))])
    late = change(conversation, hot(3, 0), hot(1, 0), "edit", body="x", prev_id=hot(1, 0))
    store.upsert([text(conversation, hot(2, 0), prev_id=hot(1, 0))], changes=[late])
    assert ends(stores, conversation)[0] == (0, hot(3, 0))
    store.upsert([text(conversation, hot(4, 0), prev_id=hot(3, 0))])
    whole = {0: (0, hot(4, 0)), 3: (hot(5, 3), hot(6, 3)), 7: (hot(4, 7), hot(4, 7))}
    assert ends(stores, conversation) == whole
    assert last_id(stores, conversation) == hot(6, 3)
    # Written again, as after a crash.
    again = store.newest(conversation, limit=9)
    store.upsert(again[::-1], changes=[late])
    assert (ends(stores, conversation), last_id(stores, conversation)) == (whole, hot(6, 3))
    store.upsert([text(conversation, hot(7, 0), prev_id=hot(4, 0))])
    assert ends(stores, conversation) == whole | {0: (0, hot(7, 0))}
    assert last_id(stores, conversation) == hot(7, 0)


def test_a_copy_that_another_reader_stored_meanwhile_stops_it_all(stores: Pair, conversation: ConversationId) -> None:
    store = stores[0]
    first = text(conversation, hot(1, 0))
    copy = replace(first, message_id=hot(1, 3))
    stored = store.find_placed([])
    store.upsert([first])
    try:
        store.upsert([text(conversation, hot(2, 3)), copy], placed=stored)
    except Overtaken:
        assert store.newest(conversation, limit=9) == [first]
        assert ends(stores, conversation) == {0: (0, hot(1, 0))}
    else:
        # Without a transaction it is not noticed.
        assert isinstance(store, CassandraMessageStore)
