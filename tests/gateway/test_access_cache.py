"""What a pod remembers of who may write where: for how long, and what makes it forget."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from accounts.models import Block
from chatproject import container
from messaging.domain.errors import Blocked, NotFound, Unavailable
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.messages import Role
from messaging.gateway import access as access_module
from messaging.gateway.access import AccessCache
from messaging.selectors.access import Room
from messaging.threads import DatabaseThreads

pytestmark = pytest.mark.django_db(transaction=True)

NOW = 1_000.0
LATER = NOW + 29.9


class Place:
    """Ann's and Bob's DM, their group with Cat, and a stranger."""

    def __init__(self, make_user: Any, make_dm: Any, make_group: Any) -> None:
        users = [make_user(name) for name in ("ann", "bob", "cat", "eve")]
        self.ann, self.bob, self.cat, self.eve = (UserId(user.pk) for user in users)
        self.dm = ConversationId(make_dm(*users[:2]).id)
        self.group = ConversationId(make_group(*users[:3]).id)


@pytest.fixture
def place(make_user: Any, make_dm: Any, make_group: Any) -> Place:
    return Place(make_user, make_dm, make_group)


@pytest.fixture
async def cache() -> AsyncIterator[AccessCache]:
    threads = DatabaseThreads(size=1)
    yield AccessCache(threads)
    await asyncio.to_thread(threads.close)


def leaks(cache: AccessCache) -> set[tuple[ConversationId, UserId]]:
    """Return what the index by conversation holds beside the verdicts, or they beside it."""
    indexed = {(conversation, user) for conversation, users in cache._by_conversation.items() for user in users}
    return indexed ^ (set(cache._verdicts) | set(cache._over))


def met(room: Room | None) -> frozenset[UserId]:
    """Return the others whom one meets there."""
    assert room is not None
    return room.others


@sync_to_async
def remove(user: UserId, conversation: ConversationId) -> None:
    """End a membership behind the cache's back."""
    assert container.conversation_store().end_membership(user, conversation, at=MessageId(5))


@sync_to_async
def block(owner: UserId, target: UserId) -> None:
    Block.objects.create(owner_id=owner, target_id=target)


@sync_to_async
def add(user: UserId, conversation: ConversationId) -> None:
    container.conversation_store().add_members(conversation, [user], role=Role.MEMBER, limit=5_000, at=MessageId(1))


async def test_a_member_may_write_and_learns_who_else_is_there(cache: AccessCache, place: Place) -> None:
    assert cache.cached(place.ann, place.dm, NOW) is None
    assert met(await cache.require(place.ann, place.dm, NOW)) == {place.bob}
    assert met(cache.cached(place.ann, place.dm, NOW)) == {place.bob}
    assert met(await cache.require(place.cat, place.group, NOW)) == {place.ann, place.bob}


async def test_the_members_of_a_large_group_are_not_kept(cache: AccessCache, place: Place) -> None:
    @sync_to_async
    def grow() -> None:
        users = [UserId(number) for number in range(1, 101)]
        container.conversation_store().add_members(place.group, users, role=Role.MEMBER, limit=5_000, at=MessageId(1))

    await grow()
    assert met(await cache.require(place.ann, place.group, NOW)) == frozenset()
    with pytest.raises(NotFound):
        await cache.require(place.eve, place.group, NOW)


async def test_absent_and_foreign_look_alike(cache: AccessCache, place: Place) -> None:
    refusals = []
    for conversation in (place.dm, ConversationId(5)):
        with pytest.raises(NotFound) as caught:
            await cache.require(place.eve, conversation, NOW)
        refusals.append(caught.value.detail)
    assert refusals[0] == refusals[1]


@pytest.mark.parametrize("blocker", ["ann", "bob"])
async def test_a_block_refuses_both_in_a_dm_and_nobody_in_a_group(
    cache: AccessCache, place: Place, blocker: str
) -> None:
    await block(*((place.ann, place.bob) if blocker == "ann" else (place.bob, place.ann)))
    for user in (place.ann, place.bob):
        with pytest.raises(Blocked):
            await cache.require(user, place.dm, NOW)
        await cache.require(user, place.group, NOW)


async def test_a_permission_is_kept_for_half_a_minute(cache: AccessCache, place: Place) -> None:
    await cache.require(place.bob, place.group, NOW)
    await remove(place.bob, place.group)
    assert met(cache.cached(place.bob, place.group, LATER)) == {place.ann, place.cat}
    assert met(await cache.require(place.bob, place.group, LATER)) == {place.ann, place.cat}
    assert cache.cached(place.bob, place.group, NOW + 30.0) is None
    with pytest.raises(NotFound):
        await cache.require(place.bob, place.group, NOW + 30.0)


async def test_a_refusal_is_kept_for_two_seconds(cache: AccessCache, place: Place) -> None:
    with pytest.raises(NotFound) as first:
        await cache.require(place.eve, place.group, NOW)
    await add(place.eve, place.group)
    with pytest.raises(NotFound) as again:
        cache.cached(place.eve, place.group, NOW + 1.9)
    assert again.value.detail == first.value.detail
    assert cache.cached(place.eve, place.group, NOW + 2.0) is None
    assert place.ann in met(await cache.require(place.eve, place.group, NOW + 2.0))


async def test_a_change_makes_it_forget_a_conversation_and_no_other(cache: AccessCache, place: Place) -> None:
    for user in (place.ann, place.bob):
        await cache.require(user, place.group, NOW)
        await cache.require(user, place.dm, NOW)
    cache.invalidate(place.group)
    cache.invalidate(ConversationId(5))
    for user in (place.ann, place.bob):
        assert cache.cached(user, place.group, NOW) is None
        assert cache.cached(user, place.dm, NOW) is not None


async def test_a_block_makes_it_forget_the_two_and_nobody_else(cache: AccessCache, place: Place) -> None:
    for user in (place.ann, place.bob, place.cat):
        await cache.require(user, place.group, NOW)
    await cache.require(place.ann, place.dm, NOW)
    cache.invalidate_pair(place.ann, place.bob)
    assert cache.cached(place.ann, place.dm, NOW) is None
    assert cache.cached(place.bob, place.group, NOW) is None
    assert cache.cached(place.cat, place.group, NOW) is not None
    assert leaks(cache) == set()
    cache.invalidate(place.group)
    assert cache.cached(place.cat, place.group, NOW) is None


@pytest.mark.parametrize("told", ["conversation", "pair"])
async def test_an_answer_that_was_asked_for_before_a_change_is_not_kept(
    cache: AccessCache, place: Place, told: str
) -> None:
    asking = asyncio.ensure_future(cache.require(place.ann, place.dm, NOW))
    refused = asyncio.ensure_future(cache.require(place.eve, place.dm, NOW))
    # Both are with the database now, and know nothing of what changes here.
    await asyncio.sleep(0)
    if told == "conversation":
        cache.invalidate(place.dm)
    else:
        cache.invalidate_pair(place.ann, place.bob)
    assert met(await asking) == {place.bob}
    with pytest.raises(NotFound):
        await refused
    assert cache.cached(place.ann, place.dm, NOW) is None
    assert cache.cached(place.eve, place.dm, NOW) is None
    assert met(await cache.require(place.ann, place.dm, NOW)) == {place.bob}
    assert met(cache.cached(place.ann, place.dm, NOW)) == {place.bob}


async def test_it_is_bounded_and_the_oldest_goes_first(
    cache: AccessCache, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_module, "_CAPACITY", 2)
    for user in (place.ann, place.bob, place.cat):
        await cache.require(user, place.group, NOW)
    await cache.require(place.bob, place.group, NOW + 60)
    await cache.require(place.ann, place.dm, NOW)
    assert [cache.cached(user, place.group, NOW) is None for user in (place.ann, place.bob, place.cat)] == [
        True, False, True,
    ]  # fmt: skip
    assert cache.cached(place.ann, place.dm, NOW) is not None
    assert leaks(cache) == set()
    for conversation in (place.group, place.dm):
        cache.invalidate(conversation)
    assert cache.cached(place.bob, place.group, NOW) is None


def _rename(old: str, new: str) -> Callable[[], None]:
    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")

    return run


@pytest.mark.logs_errors
async def test_a_database_that_is_away_is_no_verdict(cache: AccessCache, place: Place) -> None:
    await sync_to_async(_rename("membership", "membership_away"))()
    try:
        with pytest.raises(Unavailable) as refusal:
            await cache.require(place.ann, place.dm, NOW)
        assert refusal.value.retry_after
    finally:
        await sync_to_async(_rename("membership_away", "membership"))()
    assert cache.cached(place.ann, place.dm, NOW) is None
    assert met(await cache.require(place.ann, place.dm, NOW)) == {place.bob}


async def test_what_is_used_and_nearly_over_is_asked_for_with_the_next_question(
    cache: AccessCache, place: Place
) -> None:
    for user in (place.ann, place.bob):
        await cache.require(user, place.group, NOW)
    assert cache.cached(place.ann, place.group, NOW + 25) is not None
    await cache.require(place.ann, place.dm, NOW + 25)
    await remove(place.ann, place.group)
    assert met(cache.cached(place.ann, place.group, NOW + 54.9)) == {place.bob, place.cat}
    # No later than half a minute after its question, however often it is used.
    assert cache.cached(place.ann, place.group, NOW + 55) is None
    # Nobody used this one.
    assert cache.cached(place.bob, place.group, NOW + 30) is None


async def test_what_is_over_is_forgotten_with_the_next_question(cache: AccessCache, place: Place) -> None:
    await cache.require(place.ann, place.group, NOW)
    with pytest.raises(NotFound):
        await cache.require(place.eve, place.group, NOW)
    await cache.require(place.bob, place.group, NOW + 60)
    assert set(cache._verdicts) == {(place.group, place.bob)}
    assert leaks(cache) == set()
    await cache.require(place.bob, place.dm, NOW + 631)
    assert set(cache._verdicts) | set(cache._over) == {(place.group, place.bob), (place.dm, place.bob)}
    assert leaks(cache) == set()


@pytest.mark.logs_errors
async def test_who_was_allowed_lately_goes_on_while_nobody_can_be_asked(cache: AccessCache, place: Place) -> None:
    await cache.require(place.ann, place.dm, NOW)
    await cache.require(place.ann, place.group, NOW)
    await cache.require(place.bob, place.group, NOW + 40)
    with pytest.raises(NotFound):
        await cache.require(place.eve, place.group, NOW)
    await sync_to_async(_rename("membership", "membership_away"))()
    try:
        for _ in range(2):
            assert met(await cache.require(place.ann, place.dm, NOW + 100)) == {place.bob}
        assert met(await cache.require(place.bob, place.group, NOW + 629)) == {place.ann, place.cat}
        for user, when in ((place.cat, NOW + 100), (place.eve, NOW + 100), (place.bob, NOW + 700)):
            with pytest.raises(Unavailable):
                await cache.require(user, place.group, when)
        # What is known to have changed is nothing to go by.
        cache.invalidate(place.group)
        cache.invalidate_pair(place.ann, place.bob)
        for conversation in (place.group, place.dm):
            with pytest.raises(Unavailable):
                await cache.require(place.ann, conversation, NOW + 100)
        assert leaks(cache) == set()
    finally:
        await sync_to_async(_rename("membership_away", "membership"))()
