"""What every MessageStore promises. Another adapter plugs in by one more entry in FACTORIES."""

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest

from messaging.adapters.cassandra.conversations import CassandraConversationStore
from messaging.adapters.cassandra.messages import CassandraMessageStore
from messaging.adapters.orm.conversations import OrmConversationStore
from messaging.adapters.orm.messages import OrmMessageStore
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId, new_random_id
from messaging.domain.messages import ConversationType, DedupeKey, StoredMessage, StoredReceipt
from messaging.ports import ConversationStore, MessageStore, NewConversation

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
    )
    store.upsert([message], recipients={})
    assert store.get([(conversation, MessageId(5)), (conversation, MessageId(6))]) == {(conversation, 5): message}


def test_ids_use_all_63_bits(store: MessageStore, conversation: ConversationId) -> None:
    before = text(conversation, (1 << 63) - 2)
    message = text(conversation, (1 << 63) - 1, prev_id=before.message_id)
    store.upsert([before, message], recipients={conversation: [ANN]})
    assert store.newest(conversation, limit=2) == [message, before]


def test_writing_twice_changes_nothing(stores: Pair, conversation: ConversationId) -> None:
    store = stores[0]
    message = text(conversation, 5)
    for _ in range(2):
        store.upsert([message, text(conversation, 7, client_msg_id=b"7" * 16)], recipients={conversation: [ANN, BOB]})
    assert [m.message_id for m in store.newest(conversation, limit=10)] == [7, 5]
    store.upsert([replace(message, body="another text")], recipients={})
    assert store.get([(conversation, message.message_id)])[conversation, message.message_id].body == "message 5"


def test_a_second_copy_of_a_client_id_is_not_stored(stores: Pair, conversation: ConversationId) -> None:
    store = stores[0]
    first = text(conversation, 5)
    store.upsert([first], recipients={})
    store.upsert([replace(first, message_id=MessageId(9))], recipients={conversation: [BOB]})
    assert [m.message_id for m in store.newest(conversation, limit=10)] == [5]
    assert last_id(stores, conversation) == 5


def test_what_was_placed_before_need_not_be_looked_up_again(stores: Pair, conversation: ConversationId) -> None:
    """As the router stores a poll of which a part was stored before, since it is read again."""
    store = stores[0]
    first, second = text(conversation, 5), text(conversation, 7, prev_id=MessageId(5))
    keys = [DedupeKey(conversation, ANN, m.client_msg_id) for m in (first, second)]
    assert store.find_placed(keys) == {}
    store.upsert([first], recipients={conversation: [ANN, BOB]}, placed={})
    placed = store.find_placed(keys)
    store.upsert([replace(first, body="another text"), second], recipients={conversation: [ANN, BOB]}, placed=placed)
    assert store.newest(conversation, limit=10) == [second, first]
    assert last_id(stores, conversation) == 7


def test_find_placed_tells_where_the_first_copy_stands(store: MessageStore, conversation: ConversationId) -> None:
    messages = [text(conversation, n, prev_id=MessageId(n - 1)) for n in range(2, 702)]
    store.upsert(messages, recipients={})
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
        stores[0].upsert([text(conversation, number)], recipients={})
        assert last_id(stores, conversation) == expected


def test_newest_and_oldest_after_keep_their_bounds(store: MessageStore, conversation: ConversationId) -> None:
    store.upsert([text(conversation, n) for n in range(1, 11)], recipients={})
    store.upsert([text(ConversationId(4), 99)], recipients={})

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
    store.upsert([text(conversation, n, BOB) for n in range(1, 31)], recipients={})
    store.upsert([text(conversation, n, ANN) for n in range(31, 41)], recipients={})
    store.upsert([text(conversation, 41, BOB, kind="event", body="{}"), text(other, 50, BOB)], recipients={})
    counts = store.count_unread(ANN, {conversation: MessageId(10), other: MessageId(50)}, cap=100)
    assert counts == {conversation: 20, other: 0}
    assert store.count_unread(ANN, {conversation: MessageId(10)}, cap=7) == {conversation: 7}
    assert store.count_unread(BOB, {conversation: MessageId(0)}, cap=100) == {conversation: 10}
    assert store.count_unread(ANN, {}, cap=100) == {}


def test_receipts_may_come_twice(store: MessageStore, conversation: ConversationId) -> None:
    receipts = [StoredReceipt(conversation, MessageId(n), BOB, DeviceId(1), 1_000 + n) for n in range(1, 4)]
    store.save_receipts(receipts)
    store.save_receipts([*receipts, replace(receipts[0], delivered_at_ms=9_999)])
    store.save_receipts([])


def test_nothing_to_store_is_no_error(store: MessageStore) -> None:
    store.upsert([], recipients={})
    assert store.get([]) == {}
