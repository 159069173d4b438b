"""What is particular to membership in Cassandra: two tables that agree, whoever dies and whoever races."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from messaging.adapters.cassandra import conversations as conversations_module
from messaging.adapters.cassandra.conversations import CassandraConversationStore
from messaging.adapters.cassandra.layout import written_us
from messaging.adapters.cassandra.messages import CassandraMessageStore
from messaging.adapters.cassandra.session import CassandraSession
from messaging.domain.errors import NotFound, TooManyMembers
from messaging.domain.ids import ConversationId, MessageId, UserId, first_id_at, new_random_id
from messaging.domain.messages import Conversation, ConversationType, Role
from messaging.ports import NewConversation, StoreUnavailable
from tests.adapters.cassandra.conftest import DAY_IDS, text

ANN, BOB, CAT, DAN = UserId(11), UserId(22), UserId(33), UserId(44)
Store = CassandraConversationStore


def group(store: Store, *members: UserId) -> Conversation:
    kind = ConversationType.GROUP_SMALL
    return store.create(NewConversation(ConversationId(new_random_id()), kind, members[0], members))[0]


def stands(cassandra: CassandraSession, conversation: ConversationId, *users: UserId) -> dict[UserId, Any]:
    """What both tables say of users: hold them to agree, and return it."""
    store = Store(cassandra, max_inline=100)
    active = {place.user_id: place for place in store.members(conversation, limit=999)}
    known = store.get([conversation])[conversation]
    assert known.members == set(active)
    assert known.members_count == len(active)
    seen: dict[UserId, Any] = {}
    for user in users:
        place = store.membership(user, conversation)
        if place is None or not place.active:
            assert user not in active
            assert conversation not in [row.conversation.id for row in store.inbox(user, limit=999)]
            seen[user] = None if place is None else place.left_id
        else:
            assert active[user] == place
            assert conversation in [row.conversation.id for row in store.inbox(user, limit=999)]
            seen[user] = place.role
    return seen


def run(*calls: Callable[[], Any]) -> list[Any]:
    """Run calls at the same moment; return what each returned or raised."""
    start, results = threading.Barrier(len(calls)), [None] * len(calls)

    def one(index: int) -> None:
        start.wait()
        try:
            results[index] = calls[index]()
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# --- races --------------------------------------------------------------------------------------


def test_the_limit_holds_when_many_add_at_once(cassandra: CassandraSession, conversations: Store) -> None:
    talk = group(conversations, ANN)

    def adding(user: int) -> Callable[[], list[UserId]]:
        return lambda: conversations.add_members(talk.id, [UserId(user)], role=Role.MEMBER, limit=5, at=MessageId(100))

    results = run(*(adding(100 + n) for n in range(8)))
    assert sum(isinstance(result, TooManyMembers) for result in results) == 4, results
    added = [result[0] for result in results if isinstance(result, list)]
    assert len(added) == 4
    assert stands(cassandra, talk.id, ANN, *added) == {ANN: Role.OWNER, **dict.fromkeys(added, Role.MEMBER)}


def test_one_of_two_who_add_the_same_user_did_it(cassandra: CassandraSession, conversations: Store) -> None:
    talk = group(conversations, ANN)
    results = run(
        *[
            lambda: conversations.add_members(talk.id, [BOB, CAT], role=Role.MEMBER, limit=9, at=MessageId(100))
            for _ in range(4)
        ]
    )
    assert sorted(results) == [[], [], [], [BOB, CAT]]
    assert stands(cassandra, talk.id, BOB, CAT) == {BOB: Role.MEMBER, CAT: Role.MEMBER}


def test_one_of_many_who_end_a_membership_did_it(cassandra: CassandraSession, conversations: Store) -> None:
    talk = group(conversations, ANN, BOB)
    results = run(*[lambda: conversations.end_membership(BOB, talk.id, at=MessageId(60)) for _ in range(4)])
    assert sorted(results) == [False, False, False, True]
    assert stands(cassandra, talk.id, ANN, BOB) == {ANN: Role.OWNER, BOB: 60}


def test_changes_of_different_members_all_happen(cassandra: CassandraSession, conversations: Store) -> None:
    talk = group(conversations, ANN, BOB, CAT)
    results = run(
        lambda: conversations.end_membership(BOB, talk.id, at=MessageId(60)),
        lambda: conversations.add_members(talk.id, [DAN], role=Role.MEMBER, limit=9, at=MessageId(100)),
        lambda: conversations.set_role(CAT, talk.id, Role.ADMIN),
        lambda: conversations.rename(talk.id, "Coffee"),
    )
    assert results == [True, [DAN], None, None]
    assert stands(cassandra, talk.id, BOB, CAT, DAN) == {BOB: 60, CAT: Role.ADMIN, DAN: Role.MEMBER}
    assert conversations.get([talk.id])[talk.id].name == "Coffee"


# --- crashes ------------------------------------------------------------------------------------


def adding(store: Store, talk: ConversationId) -> None:
    store.add_members(talk, [CAT, DAN], role=Role.MEMBER, limit=9, at=MessageId(100))


def ending(store: Store, talk: ConversationId) -> None:
    store.end_membership(BOB, talk, at=MessageId(60))


def promoting(store: Store, talk: ConversationId) -> None:
    store.set_role(BOB, talk, Role.ADMIN)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (adding, {BOB: Role.MEMBER, CAT: Role.MEMBER, DAN: Role.MEMBER}),
        (ending, {BOB: 60, CAT: None, DAN: None}),
        (promoting, {BOB: Role.ADMIN, CAT: None, DAN: None}),
    ],
)
@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("who", ["repeating", "next change", "reader"])
def test_a_change_that_was_cut_short_is_completed(
    who: str,
    applied: bool,
    change: Callable[[Store, ConversationId], None],
    wanted: dict[UserId, Any],
    cassandra: CassandraSession,
    conversations: Store,
    breaking: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conversations_module, "_ABANDONED_S", -1.0)
    counting, driver = breaking(1_000)
    change(Store(counting, max_inline=100), group(conversations, ANN, BOB).id)
    untouched = {BOB: Role.MEMBER, CAT: None, DAN: None}
    seen = []
    for after in range(1, driver.requests + 1):
        talk = group(conversations, ANN, BOB).id
        session, _ = breaking(after, applied=applied)
        with pytest.raises(StoreUnavailable):
            change(Store(session, max_inline=100), talk)
        if who == "repeating":
            change(conversations, talk)
        elif who == "next change":
            conversations.rename(talk, "next")
        conversations.get([talk])
        seen.append(stands(cassandra, talk, BOB, CAT, DAN))
        # All or nothing: a change that was not made leaves nothing, and repeating makes it.
        assert seen[-1] in ([wanted] if who == "repeating" else [untouched, wanted])
    assert seen[-1] == wanted


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
def test_a_dm_whose_creator_died_is_created_by_the_next(
    applied: bool, cassandra: CassandraSession, conversations: Store, breaking: Callable[..., Any]
) -> None:
    def dm(store: Store, ann: UserId, bob: UserId) -> tuple[Conversation, bool]:
        return store.create(NewConversation(ConversationId(new_random_id()), ConversationType.DM, ann, (ann, bob)))

    counting, driver = breaking(1_000)
    assert dm(Store(counting, max_inline=100), ANN, BOB)[1]
    for after in range(1, driver.requests + 1):
        ann, bob = UserId(1_000 + after), UserId(2_000 + after)
        session, _ = breaking(after, applied=applied)
        with pytest.raises(StoreUnavailable):
            dm(Store(session, max_inline=100), ann, bob)
        first = dm(conversations, bob, ann)[0]
        assert dm(conversations, ann, bob) == (first, False)
        assert stands(cassandra, first.id, ann, bob) == {ann: Role.MEMBER, bob: Role.MEMBER}


def test_an_answer_that_was_lost_is_looked_up(
    cassandra: CassandraSession, cassandra_engine: Any, conversations: Store
) -> None:
    """The conditional write is made and only its answer is lost: the caller learns that it was made."""
    talk = group(conversations, ANN)
    session, real = CassandraSession(cassandra_engine, keyspace=cassandra.keyspace), []

    def decide(work: Any) -> bool:
        real.append(cassandra.decide(work))
        if len(real) == 1:
            raise StoreUnavailable("lost")
        return bool(real[-1])

    session.decide = decide  # type: ignore[method-assign]
    store = Store(session, max_inline=100)
    assert store.add_members(talk.id, [BOB], role=Role.MEMBER, limit=9, at=MessageId(100)) == [BOB]
    assert real == [True, True]
    assert stands(cassandra, talk.id, BOB) == {BOB: Role.MEMBER}


# --- the rest -----------------------------------------------------------------------------------


def test_marks_of_people_who_have_gone_take_no_places(cassandra: CassandraSession, conversations: Store) -> None:
    talk = group(conversations, *[UserId(n) for n in range(1_000, 1_100)])
    gone = [UserId(n) for n in range(1, 6)]
    conversations.mark_read([(user, talk.id, MessageId(9)) for user in gone])
    found = conversations.get([talk.id])[talk.id]
    assert found.members == talk.members
    assert len(conversations.rosters([talk.id])[talk.id]) == 100
    assert [place.user_id for place in conversations.members(talk.id, limit=3)] == [1_000, 1_001, 1_002]
    assert conversations.membership(gone[0], talk.id) is None
    assert conversations.inbox(gone[0], limit=9) == []


def test_a_message_in_no_conversation_makes_none(messages: CassandraMessageStore, conversations: Store) -> None:
    messages.upsert([text(77, 5)])
    assert conversations.get([ConversationId(77)]) == {}
    assert conversations.rosters([ConversationId(77)]) == {}
    with pytest.raises(NotFound):
        conversations.add_members(ConversationId(77), [ANN], role=Role.MEMBER, limit=9, at=MessageId(100))
    conversations.rename(ConversationId(77), "nothing")
    conversations.set_role(ANN, ConversationId(77), Role.ADMIN)
    assert not conversations.end_membership(ANN, ConversationId(77), at=MessageId(9))
    assert conversations.get([ConversationId(77)]) == {}


def test_read_marks_and_mutes_survive_coming_back(cassandra: CassandraSession, conversations: Store) -> None:
    talk = group(conversations, ANN, BOB)
    conversations.mark_read([(BOB, talk.id, MessageId(30))])
    conversations.end_membership(BOB, talk.id, at=MessageId(60))
    conversations.add_members(talk.id, [BOB], role=Role.MEMBER, limit=9, at=MessageId(100))
    place = conversations.membership(BOB, talk.id)
    assert place is not None
    assert place.last_read_id == 30
    assert stands(cassandra, talk.id, BOB) == {BOB: Role.MEMBER}


def test_an_old_mark_that_is_written_late_changes_nothing(cassandra: CassandraSession, conversations: Store) -> None:
    talk = group(conversations, ANN, BOB)
    later, earlier = MessageId(900 * DAY_IDS), MessageId(899 * DAY_IDS)
    assert written_us(later) > written_us(earlier)
    conversations.mark_read([(BOB, talk.id, later), (BOB, talk.id, earlier)])
    conversations.mark_read([(BOB, talk.id, earlier)])
    assert [place.last_read_id for place in conversations.rosters([talk.id])[talk.id]] == [0, later]


def test_the_inbox_reads_on_until_the_page_is_certain(
    messages: CassandraMessageStore, conversations: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a step of its reading is smaller than a day's conversations."""
    monkeypatch.setattr(conversations_module, "_STEP", 3)
    start = first_id_at(3_000_000_000_000)
    talks = [group(conversations, ANN, BOB) for _ in range(17)]
    order = [4, 9, 1, 16, 2, 7, 0, 11, 3]
    for place, index in enumerate(order):
        # Three to a day.
        messages.upsert([text(talks[index].id, start + place // 3 * DAY_IDS + place)])
    keys: list[tuple[int, int]] = []
    before: tuple[int, int] | None = None
    while rows := conversations.inbox(ANN, before=before, limit=4):
        keys += [(row.conversation.activity_id, row.conversation.id) for row in rows]
        before = keys[-1]
    assert keys == sorted(keys, reverse=True)
    assert [number for _, number in keys][:9] == [talks[index].id for index in reversed(order)]
    assert {number for _, number in keys} == {talk.id for talk in talks}
    assert conversations.active_since(ANN, MessageId(start + 2 * DAY_IDS), limit=2) == [talks[3].id, talks[11].id]
