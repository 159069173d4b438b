"""What every ConversationStore promises. Another adapter plugs in by one more entry in FACTORIES."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import connections

from messaging.adapters.cassandra.conversations import CassandraConversationStore
from messaging.adapters.cassandra.messages import CassandraMessageStore
from messaging.adapters.orm.conversations import OrmConversationStore
from messaging.adapters.orm.messages import OrmMessageStore
from messaging.domain.errors import TooManyMembers
from messaging.domain.ids import (
    ConversationId,
    DeviceId,
    MediaId,
    MessageId,
    UserId,
    first_id_at,
    in_sub,
    new_random_id,
)
from messaging.domain.messages import Chain, Conversation, ConversationType, Membership, Role, Shelf, StoredMessage
from messaging.ports import ConversationStore, MessageStore, NewConversation

Pair = tuple[ConversationStore, MessageStore]


def on_cassandra(request: pytest.FixtureRequest) -> Pair:
    session = request.getfixturevalue("cassandra")
    return CassandraConversationStore(session, max_inline=100), CassandraMessageStore(session)


def on_postgresql(request: pytest.FixtureRequest) -> Pair:
    alias = request.getfixturevalue("postgresql")
    return OrmConversationStore(max_inline=100, using=alias), OrmMessageStore(using=alias)


FACTORIES: dict[str, Callable[[pytest.FixtureRequest], Pair]] = {
    "orm": lambda request: (OrmConversationStore(max_inline=100), OrmMessageStore()),
    "orm-postgresql": on_postgresql,
    "cassandra": on_cassandra,
}
ANN, BOB, CAT, DAN = UserId(11), UserId(22), UserId(33), UserId(44)

pytestmark = pytest.mark.django_db


@pytest.fixture(params=FACTORIES)
def stores(request: pytest.FixtureRequest) -> Pair:
    return FACTORIES[request.param](request)


@pytest.fixture
def store(stores: Pair) -> ConversationStore:
    return stores[0]


def group(store: ConversationStore, *members: UserId, name: str = "") -> Conversation:
    kind = ConversationType.GROUP_SMALL
    return store.create(NewConversation(ConversationId(new_random_id()), kind, members[0], members, name))[0]


def test_encrypted_is_for_good_and_for_that_conversation(store: ConversationStore) -> None:
    def made(encrypted: bool, kind: ConversationType = ConversationType.GROUP_SMALL) -> Conversation:
        new = NewConversation(ConversationId(new_random_id()), kind, ANN, (ANN, BOB), "Group", encrypted)
        return store.create(new)[0]

    sealed, plain = made(True), made(False)
    assert (sealed.encrypted, plain.encrypted) == (True, False)
    store.rename(sealed.id, "Another")
    store.add_members(sealed.id, [CAT], role=Role.MEMBER, limit=10, at=MessageId(1 << 40))
    found = store.get([sealed.id, plain.id])
    assert (found[sealed.id].encrypted, found[plain.id].encrypted) == (True, False)
    assert {row.conversation.id: row.conversation.encrypted for row in store.inbox(ANN, limit=5)} == {
        sealed.id: True,
        plain.id: False,
    }
    assert not made(False, ConversationType.DM).encrypted
    assert not made(True, ConversationType.DM).encrypted, "the pair has one already"


def dm(store: ConversationStore, *members: UserId) -> tuple[Conversation, bool]:
    return store.create(NewConversation(ConversationId(new_random_id()), ConversationType.DM, members[0], members))


def write(stores: Pair, conversation: Conversation, number: int, sender: UserId = ANN) -> None:
    message = StoredMessage(conversation.id, MessageId(number), sender, uuid4().bytes, "x")
    stores[1].upsert([message])


def test_a_group_has_its_creator_as_owner(store: ConversationStore) -> None:
    conversation = group(store, ANN, BOB, name="Tea")
    assert store.get([conversation.id]) == {conversation.id: conversation}
    assert (conversation.name, conversation.members, conversation.members_count) == ("Tea", {ANN, BOB}, 2)
    assert [(m.user_id, m.role, m.joined_id) for m in store.members(conversation.id, limit=9)] == [
        (ANN, Role.OWNER, 0),
        (BOB, Role.MEMBER, 0),
    ]


def test_all_places_of_a_user_come_by_also_ended_ones(store: ConversationStore) -> None:
    talks = sorted([*(group(store, ANN, BOB).id for _ in range(5)), dm(store, ANN, CAT)[0].id])
    group(store, BOB, CAT)
    store.end_membership(ANN, talks[2], at=MessageId(7))
    # Marks of somebody who is no member there.
    store.mark_read([(ANN, ConversationId(talks[3] - 1), MessageId(3)), (ANN, ConversationId(5), MessageId(3))])
    seen: list[Membership] = []
    while page := store.places(ANN, after=seen[-1].conversation_id if seen else ConversationId(0), limit=2):
        assert len(page) <= 2
        seen += page
    assert [place.conversation_id for place in seen] == talks
    assert [place.left_id for place in seen if not place.active] == [7]
    assert {place.user_id for place in seen} == {ANN}


def test_a_pair_has_one_dm(store: ConversationStore) -> None:
    first, created = dm(store, ANN, BOB)
    again, created_again = dm(store, BOB, ANN)
    assert (created, created_again, again) == (True, False, first)
    assert dm(store, ANN, CAT)[0].id != first.id


@pytest.mark.django_db(transaction=True)
def test_a_pair_has_one_dm_also_under_a_race(store: ConversationStore) -> None:
    results: list[tuple[ConversationId, bool]] = []
    start = threading.Barrier(4)

    def create() -> None:
        start.wait()
        try:
            conversation, created = dm(store, ANN, BOB)
            results.append((conversation.id, created))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len({number for number, _ in results}) == 1
    assert sum(created for _, created in results) == 1


def test_get_leaves_out_what_does_not_exist(store: ConversationStore) -> None:
    assert store.get([ConversationId(1)]) == {}
    assert store.membership(ANN, ConversationId(1)) is None
    assert store.memberships(ANN, [ConversationId(1)]) == {}


def test_members_come_in_pages(store: ConversationStore) -> None:
    users = [UserId(n) for n in range(1, 8)]
    conversation = group(store, *users)
    pages, after = [], UserId(0)
    while page := store.members(conversation.id, after=after, limit=3):
        pages.append([m.user_id for m in page])
        after = page[-1].user_id
    assert pages == [[1, 2, 3], [4, 5, 6], [7]]


def test_adding_counts_only_who_is_new(stores: Pair) -> None:
    store = stores[0]
    conversation = group(store, ANN, BOB)
    write(stores, conversation, 50)
    # The records before it need not be stored yet.
    assert store.add_members(conversation.id, [BOB, CAT, CAT], role=Role.ADMIN, limit=3, at=MessageId(60)) == [CAT]
    assert store.get([conversation.id])[conversation.id].members == {ANN, BOB, CAT}
    cat = store.membership(CAT, conversation.id)
    assert cat is not None
    assert (cat.role, cat.joined_id, cat.active) == (Role.ADMIN, 59, True)
    bob = store.membership(BOB, conversation.id)
    assert bob is not None
    assert bob.role is Role.MEMBER


def test_past_the_limit_nothing_changes(store: ConversationStore) -> None:
    conversation = group(store, ANN, BOB)
    with pytest.raises(TooManyMembers):
        store.add_members(conversation.id, [CAT, DAN], role=Role.MEMBER, limit=3, at=MessageId(60))
    assert store.get([conversation.id])[conversation.id] == conversation
    assert store.membership(CAT, conversation.id) is None


def test_past_a_hundred_members_a_group_is_large(store: ConversationStore) -> None:
    conversation = group(store, *[UserId(n) for n in range(1, 101)])
    assert (conversation.type, len(conversation.members or ())) == (ConversationType.GROUP_SMALL, 100)
    store.add_members(conversation.id, [UserId(101)], role=Role.MEMBER, limit=5_000, at=MessageId(60))
    grown = store.get([conversation.id])[conversation.id]
    assert (grown.type, grown.members, grown.members_count) == (ConversationType.GROUP_LARGE, None, 101)
    assert store.rosters([conversation.id]) == {}
    born_large = group(store, *[UserId(n) for n in range(1, 102)])
    assert (born_large.type, born_large.members) == (ConversationType.GROUP_LARGE, None)


def test_five_thousand_members(store: ConversationStore) -> None:
    conversation = group(store, ANN)
    users = [UserId(n) for n in range(100, 5_099)]
    assert len(store.add_members(conversation.id, users, role=Role.MEMBER, limit=5_000, at=MessageId(60))) == 4_999
    with pytest.raises(TooManyMembers):
        store.add_members(conversation.id, [UserId(9_999)], role=Role.MEMBER, limit=5_000, at=MessageId(60))
    assert store.add_members(conversation.id, users, role=Role.MEMBER, limit=5_000, at=MessageId(60)) == []


def test_adding_again_at_the_same_place_changes_nothing(store: ConversationStore) -> None:
    conversation = group(store, ANN, DAN)
    place = {"role": Role.MEMBER, "limit": 4, "at": MessageId(60)}
    assert store.add_members(conversation.id, [BOB, CAT], **place) == [BOB, CAT]
    store.end_membership(CAT, conversation.id, at=MessageId(70))
    # The router comes to the record of the joining when the departure after it is stored already.
    assert store.add_members(conversation.id, [ANN, BOB, CAT], **place) == []
    stays = [(it.joined_id, it.left_id) for it in (store.membership(user, conversation.id) for user in (ANN, BOB, CAT))]
    assert stays == [(0, None), (59, None), (59, 70)]
    assert store.get([conversation.id])[conversation.id].members_count == 3


def test_ending_a_membership_is_idempotent(store: ConversationStore) -> None:
    conversation = group(store, ANN, BOB)
    assert store.end_membership(BOB, conversation.id, at=MessageId(60))
    assert not store.end_membership(BOB, conversation.id, at=MessageId(70))
    gone = store.membership(BOB, conversation.id)
    assert gone is not None
    assert (gone.left_id, gone.active) == (60, False)
    after = store.get([conversation.id])[conversation.id]
    assert (after.members, after.members_count) == ({ANN}, 1)
    assert not store.end_membership(CAT, conversation.id, at=MessageId(70))


def test_who_comes_back_begins_anew(stores: Pair) -> None:
    store = stores[0]
    conversation = group(store, ANN, BOB)
    write(stores, conversation, 50)
    store.end_membership(BOB, conversation.id, at=MessageId(60))
    assert store.add_members(conversation.id, [BOB], role=Role.MEMBER, limit=9, at=MessageId(80)) == [BOB]
    back = store.membership(BOB, conversation.id)
    assert back is not None
    assert (back.left_id, back.joined_id) == (None, 79)
    # The router repeats the removal when it reads its record; it is of the stay before.
    assert not store.end_membership(BOB, conversation.id, at=MessageId(60))
    write(stores, conversation, 90)
    assert store.end_membership(BOB, conversation.id, at=MessageId(95))
    assert store.get([conversation.id])[conversation.id].members_count == 1


def test_roles_names_and_mutes(store: ConversationStore) -> None:
    conversation = group(store, ANN, BOB)
    store.set_role(BOB, conversation.id, Role.ADMIN)
    store.rename(conversation.id, "Coffee")
    until = datetime(2030, 1, 2, tzinfo=UTC)
    store.set_muted(BOB, conversation.id, until)
    bob = store.membership(BOB, conversation.id)
    assert bob is not None
    assert (bob.role, bob.muted_until) == (Role.ADMIN, until)
    assert store.get([conversation.id])[conversation.id].name == "Coffee"
    store.set_muted(BOB, conversation.id, None)
    again = store.membership(BOB, conversation.id)
    assert again is not None
    assert again.muted_until is None


def test_read_marks_move_forward_only(store: ConversationStore) -> None:
    conversation = group(store, ANN, BOB)
    for number, expected in ((5, 5), (9, 9), (7, 9)):
        store.mark_read([(BOB, conversation.id, MessageId(number))])
        bob = store.membership(BOB, conversation.id)
        assert bob is not None
        assert bob.last_read_id == expected
    store.mark_read([])


def test_each_device_has_its_own_marks_and_they_move_forward_only(store: ConversationStore) -> None:
    tea, coffee = group(store, ANN, BOB).id, group(store, ANN, BOB).id
    phone, tablet = DeviceId(new_random_id()), DeviceId(new_random_id())
    for device, marks in ((phone, {tea: 5, coffee: 8}), (tablet, {tea: 7}), (phone, {tea: 9}), (phone, {tea: 6})):
        store.keep_marks(ANN, device, {of: {0: MessageId(mark)} for of, mark in marks.items()})
    store.keep_marks(ANN, phone, {})
    assert store.kept_marks(ANN, phone, limit=9) == {tea: {0: 9}, coffee: {0: 8}}
    assert store.kept_marks(ANN, phone, limit=1) == {tea: {0: 9}}
    assert store.kept_marks(ANN, tablet, limit=9) == {tea: {0: 7}}
    assert store.kept_marks(BOB, phone, limit=9) == {}, "not under another's name"


def test_a_device_has_a_mark_for_each_chain_of_a_hot_conversation(store: ConversationStore) -> None:
    hot, calm = group(store, ANN, BOB).id, group(store, ANN, BOB).id
    phone = DeviceId(new_random_id())
    first, third, seventh = (in_sub(moment << 22, sub) for moment, sub in ((5, 0), (9, 3), (2, 7)))
    store.keep_marks(ANN, phone, {calm: {0: in_sub(7 << 22, 0)}, hot: {0: first, 3: third}})
    # Each moves by itself, and not back; what a mark does not name stays.
    store.keep_marks(ANN, phone, {hot: {3: in_sub(8 << 22, 3), 7: seventh}})
    kept = {0: first, 3: third, 7: seventh}
    assert store.kept_marks(ANN, phone, limit=9) == {hot: kept, calm: {0: in_sub(7 << 22, 0)}}
    assert store.kept_marks(ANN, phone, limit=1) == {hot: kept}
    # One of which nothing is held in the first chain.
    other = group(store, ANN, BOB).id
    store.keep_marks(ANN, phone, {other: {31: in_sub(10 << 22, 31)}})
    assert store.kept_marks(ANN, phone, limit=1) == {other: {31: in_sub(10 << 22, 31)}}


def test_the_inbox_is_sorted_by_activity_and_comes_in_pages(stores: Pair) -> None:
    store = stores[0]
    talks = [group(store, ANN, BOB) for _ in range(5)]
    later = first_id_at(3_000_000_000_000)
    for number, index in enumerate((3, 0, 4)):
        write(stores, talks[index], later + number)
    elsewhere = group(store, BOB, CAT)
    left = group(store, ANN, BOB)
    store.end_membership(ANN, left.id, at=MessageId(later))
    keys: list[tuple[int, int]] = []
    before: tuple[int, int] | None = None
    while rows := store.inbox(ANN, before=before, limit=2):
        keys += [(row.conversation.activity_id, row.conversation.id) for row in rows]
        before = keys[-1]
        assert all(row.membership.user_id == ANN and row.conversation.members == {ANN, BOB} for row in rows)
    assert keys == sorted(keys, reverse=True)
    assert [number for _, number in keys][:3] == [talks[4].id, talks[0].id, talks[3].id]
    assert {number for _, number in keys} == {talk.id for talk in talks}
    assert elsewhere.id not in {number for _, number in keys}


def test_memberships_tell_where_the_conversation_stands(stores: Pair) -> None:
    store = stores[0]
    one, two, other = group(store, ANN, BOB), group(store, ANN), group(store, BOB)
    write(stores, one, 70)
    found = store.memberships(ANN, [one.id, two.id, other.id])
    assert {key: (it.membership.user_id, it.chains) for key, it in found.items()} == {
        one.id: (ANN, {0: Chain(MessageId(0), MessageId(70))}),
        two.id: (ANN, {}),
    }
    assert store.active_since(ANN, MessageId(69), limit=9) == [one.id]
    assert store.active_since(ANN, MessageId(70), limit=9) == []
    assert store.active_since(ANN, MessageId(69), besides={one.id}, limit=9) == []
    write(stores, two, 80)
    assert store.active_since(ANN, MessageId(69), limit=1) == [two.id]
    assert store.active_since(ANN, MessageId(69), besides={two.id}, limit=1) == [one.id]


def test_ends_tell_where_each_chain_ends(stores: Pair) -> None:
    store = stores[0]
    one, silent, spread = group(store, ANN, BOB), group(store, ANN), group(store, BOB)
    write(stores, one, 70)
    write(stores, spread, 80)
    store.set_hot(spread.id, 3)
    write(stores, spread, in_sub(MessageId(1 << 30), 2))
    ends = store.ends([one.id, silent.id, spread.id, one.id, ConversationId(9)])
    standing = store.memberships(ANN, [one.id, silent.id]) | store.memberships(BOB, [spread.id])
    assert ends == {id_: {sub: it.last_id for sub, it in at.chains.items()} for id_, at in standing.items()}
    assert ends[one.id] == {0: 70}
    assert ends[silent.id] == {}
    assert set(ends[spread.id]) == {0, 2}


def test_memberships_are_the_same_one_by_one_and_together(store: ConversationStore) -> None:
    muted, ended = group(store, ANN, BOB), group(store, ANN, BOB)
    store.set_muted(BOB, muted.id, datetime(2030, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC))
    store.mark_read([(BOB, muted.id, MessageId(7))])
    store.end_membership(BOB, ended.id, at=MessageId(5))
    found = store.memberships(BOB, [muted.id, ended.id])
    assert {key: it.membership for key, it in found.items()} == {
        number: store.membership(BOB, number) for number in (muted.id, ended.id)
    }


def test_rosters_and_sharing_know_active_members_only(store: ConversationStore) -> None:
    conversation = group(store, ANN, BOB, CAT)
    group(store, DAN)
    store.end_membership(CAT, conversation.id, at=MessageId(5))
    assert [m.user_id for m in store.rosters([conversation.id])[conversation.id]] == [ANN, BOB]
    assert store.sharing(ANN, [BOB, CAT, DAN]) == {BOB}
    assert store.sharing(CAT, [ANN, BOB]) == set()


def test_what_expired_moves_forward_only_and_is_told_with_the_conversation(stores: Pair) -> None:
    store = stores[0]
    conversation = group(store, ANN, BOB)
    write(stores, conversation, 1 << 40)
    assert store.memberships(ANN, [conversation.id])[conversation.id].expired_id == 0
    for upto, stands in ((1 << 30, 1 << 30), (1 << 29, 1 << 30), (1 << 31, 1 << 31)):
        store.expire(conversation.id, MessageId(upto))
        assert store.get([conversation.id])[conversation.id].expired_id == stands
    assert store.memberships(ANN, [conversation.id])[conversation.id].expired_id == 1 << 31
    assert [row.conversation.expired_id for row in store.inbox(ANN, limit=5)] == [1 << 31]


def test_a_timer_is_set_and_taken_away(store: ConversationStore) -> None:
    conversation = group(store, ANN, BOB)
    for timer_s in (86_400, 3_600, None):
        store.set_timer(conversation.id, timer_s)
        assert store.get([conversation.id])[conversation.id].timer_s == timer_s


def test_a_scan_comes_by_every_conversation_once(stores: Pair) -> None:
    store = stores[0]
    talks = {group(store, ANN, BOB).id for _ in range(7)} | {dm(store, ANN, BOB)[0].id}
    # A mark of somebody who is no member, in a conversation that is none.
    store.mark_read([(ANN, ConversationId(5), MessageId(3))])
    seen: list[tuple[int, Conversation]] = []
    while page := store.scan(after=seen[-1][0] if seen else None, limit=3):
        assert len(page) <= 3
        seen += page
    assert [position for position, _ in seen] == sorted(position for position, _ in seen)
    assert sorted(conversation.id for _, conversation in seen) == sorted(talks)
    assert {conversation.members for _, conversation in seen} == {None}


def test_being_hot_is_noted_and_can_be_taken_back(store: ConversationStore) -> None:
    conversation = group(store, ANN, BOB)
    assert conversation.hot_k == 1
    for k in (8, 16, 1):
        assert store.set_hot(conversation.id, k)
        assert store.get([conversation.id])[conversation.id].hot_k == k
        assert store.spread() == ({conversation.id: k} if k > 1 else {})
    assert not store.set_hot(ConversationId(5), 8)
    assert store.spread() == {}
    assert store.get([ConversationId(5)]) == {}


def test_the_version_changes_with_the_members(store: ConversationStore) -> None:
    conversation = group(store, ANN, BOB)

    def version() -> int:
        return store.get([conversation.id])[conversation.id].version

    versions = [version()]
    store.add_members(conversation.id, [CAT], role=Role.MEMBER, limit=10, at=MessageId(5))
    versions.append(version())
    store.end_membership(CAT, conversation.id, at=MessageId(6))
    versions.append(version())
    store.add_members(conversation.id, [CAT], role=Role.MEMBER, limit=10, at=MessageId(7))
    versions.append(version())
    assert versions == sorted(set(versions))
    # What changes nothing may leave it.
    store.mark_read([(ANN, conversation.id, MessageId(5))])
    assert version() == versions[-1]


# --- where a member keeps it ----------------------------------------------------------------------


def shelf(store: ConversationStore, user: UserId, conversation: Conversation) -> Shelf:
    place = store.membership(user, conversation.id)
    assert place is not None
    if place.active:
        [row] = [it for it in store.inbox(user, limit=9) if it.conversation.id == conversation.id]
        assert row.membership.shelf == place.shelf
    return place.shelf


def test_each_part_of_a_shelf_is_changed_by_itself_and_for_one_member(store: ConversationStore) -> None:
    talk, other = group(store, ANN, BOB), group(store, ANN, BOB)
    store.shelve(BOB, talk.id, archived_id=MessageId(7))
    store.shelve(BOB, talk.id, pinned=True)
    store.shelve(BOB, talk.id, unread_id=MessageId(9))
    store.shelve(BOB, talk.id)
    assert shelf(store, BOB, talk) == Shelf(MessageId(7), True, MessageId(9))
    store.shelve(BOB, talk.id, archived_id=MessageId(0), unread_id=MessageId(0))
    assert shelf(store, BOB, talk) == Shelf(pinned=True)
    assert shelf(store, ANN, talk) == shelf(store, BOB, other) == Shelf()


def test_who_comes_back_finds_an_empty_shelf(store: ConversationStore) -> None:
    talk = group(store, ANN, BOB)
    store.shelve(BOB, talk.id, archived_id=MessageId(7), pinned=True, unread_id=MessageId(7))
    store.end_membership(BOB, talk.id, at=MessageId(1 << 40))
    assert store.inbox(BOB, limit=9, pinned=True) == []
    store.add_members(talk.id, [BOB], role=Role.MEMBER, limit=9, at=MessageId(2 << 40))
    assert shelf(store, BOB, talk) == Shelf()


def test_pinned_conversations_can_be_had_alone(stores: Pair) -> None:
    store = stores[0]
    talks = [group(store, ANN, BOB) for _ in range(4)]
    for place, talk in enumerate(talks):
        write(stores, talk, first_id_at(1_800_000_000_000 + place * 86_400_000))
    for talk in (talks[0], talks[2]):
        store.shelve(ANN, talk.id, pinned=True)
    assert [row.conversation.id for row in store.inbox(ANN, limit=9, pinned=True)] == [talks[2].id, talks[0].id]
    assert [row.conversation.id for row in store.inbox(ANN, limit=1, pinned=True)] == [talks[2].id]
    assert len(store.inbox(ANN, limit=9)) == 4
    assert store.inbox(BOB, limit=9, pinned=True) == []


# --- pictures -------------------------------------------------------------------------------------


def test_a_group_has_one_picture_or_none(store: ConversationStore) -> None:
    talk, other = group(store, ANN, BOB), group(store, ANN, BOB)
    assert talk.picture is None
    for picture in (MediaId(77), MediaId(78), None):
        store.set_picture(talk.id, picture)
        assert store.get([talk.id])[talk.id].picture == picture
        found = {row.conversation.id: row.conversation.picture for row in store.inbox(BOB, limit=9)}
        assert found == {talk.id: picture, other.id: None}
        assert {it.id: it.picture for _, it in store.scan(limit=99) if it.id in found} == found
