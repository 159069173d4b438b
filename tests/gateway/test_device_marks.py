"""Marks that a device leaves at the server: its own, of its user's conversations, and to go on from."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from chatproject import container
from messaging.domain import ids
from messaging.domain.ids import DeviceId, UserId
from messaging.services.hot import set_hot
from tests.conftest import outside_the_loop
from tests.gateway.conftest import Client, Frame, Server, conv_ref

pytestmark = pytest.mark.django_db(transaction=True)


async def sync(client: Client, **fields: Any) -> list[Frame]:
    """Return the backfills of a sync."""
    client.passed.clear()
    await client.send("sync", **fields)
    await client.expect("synced")
    return [frame for frame in client.passed if frame["op"] == "backfill"]


async def device_of(server: Server, user: User) -> tuple[Client, str]:
    client = await server.connect(additional_headers={"Authorization": f"Bearer {server.token(user)}"})
    return client, (await client.expect("ready"))["device"]


def kept(user: User, device: str) -> dict[str, str | None]:
    store = container.conversation_store()
    found = outside_the_loop(lambda: store.kept_marks(UserId(user.pk), ids.parse_device(device), limit=9))
    return {ids.conversation_ref(conv): ids.mark_ref(conv, mark) for conv, mark in found.items()}


async def test_a_device_goes_on_from_its_own_marks_or_from_those_of_another_of_its_user(
    server: Server, make_user: Callable[..., User], make_dm: Callable[..., Any]
) -> None:
    ann_user, bob_user = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann_user, bob_user))
    bob = await server.sign_in(bob_user)
    phone, phone_ref = await device_of(server, ann_user)
    tablet, tablet_ref = await device_of(server, ann_user)
    said = [(await bob.say(conv, f"text {number}"))["server_id"] for number in range(3)]
    for client in (phone, tablet):
        await client.expect("msg", server_id=said[-1])
    await sync(phone, marks={conv: said[2]}, keep=True)
    await sync(tablet, marks={conv: said[1]}, keep=True)
    assert (kept(ann_user, phone_ref), kept(ann_user, tablet_ref)) == ({conv: said[2]}, {conv: said[1]})

    # Nothing is newer than what the phone has; the tablet lacks one. The margin of 5 s shows all three.
    assert await sync(phone, resume=phone_ref) == []
    [backfill] = await sync(tablet, resume=tablet_ref)
    assert backfill["mark"] == said[2]
    anew, _ = await device_of(server, ann_user)
    assert await sync(anew, resume=phone_ref) == []
    [backfill] = await sync(anew, resume=tablet_ref)
    assert [message["body"] for message in backfill["messages"]] == ["text 0", "text 1", "text 2"]
    # What the device names itself counts more.
    assert await sync(anew, marks={conv: said[2]}, resume=tablet_ref) == []


async def test_nobody_goes_on_from_a_neighbours_device(
    server: Server, make_user: Callable[..., User], make_dm: Callable[..., Any]
) -> None:
    ann_user, bob_user = make_user("ann"), make_user("bob")
    conv = conv_ref(make_dm(ann_user, bob_user))
    ann, ann_ref = await device_of(server, ann_user)
    ack = await ann.say(conv)
    await sync(ann, marks={conv: ack["server_id"]}, keep=True)
    bob = await server.sign_in(bob_user)
    for device in (ann_ref, ids.device_ref(DeviceId(1))):
        await bob.send("sync", resume=device)
        await bob.refusal("not_found")
    assert not any(frame["op"] in ("backfill", "synced") for frame in await bob.quiet())


async def test_only_marks_that_can_be_true_are_kept(
    server: Server, make_user: Callable[..., User], make_dm: Callable[..., Any]
) -> None:
    ann_user, bob_user, cat_user = make_user("ann"), make_user("bob"), make_user("cat")
    mine, theirs = make_dm(ann_user, bob_user), make_dm(bob_user, cat_user)
    ann, ann_ref = await device_of(server, ann_user)
    bob = await server.sign_in(bob_user)
    ack = await ann.say(conv_ref(mine))
    foreign = await bob.say(conv_ref(theirs))
    await ann.expect("msg", server_id=ack["server_id"])
    beyond = ids.server_id(mine.id, ids.MAX_ID)
    await sync(ann, marks={conv_ref(mine): beyond, conv_ref(theirs): foreign["server_id"]}, keep=True)
    assert kept(ann_user, ann_ref) == {}
    await sync(ann, marks={conv_ref(mine): ack["server_id"]})
    assert kept(ann_user, ann_ref) == {}, "nobody asked for it"
    await sync(ann, marks={conv_ref(mine): ack["server_id"]}, keep=True)
    assert kept(ann_user, ann_ref) == {conv_ref(mine): ack["server_id"]}


async def test_of_a_hot_conversation_the_marks_of_all_chains_are_kept_that_can_be_true(
    server: Server, make_user: Callable[..., User], make_dm: Callable[..., Any]
) -> None:
    ann_user, bob_user = make_user("ann"), make_user("bob")
    dm = make_dm(ann_user, bob_user)
    conv = conv_ref(dm)
    ann, ann_ref = await device_of(server, ann_user)
    bob = await server.sign_in(bob_user)
    said = [(await bob.say(conv, "cold"))["server_id"]]
    await asyncio.to_thread(outside_the_loop, lambda: set_hot(conversation_id=dm.id, k=ids.MAX_HOT_K))
    # Nothing is remembered of her right to write, so she needs not to be told.
    said.append((await ann.say(conv, "hot"))["server_id"])
    await bob.expect("msg", server_id=said[-1])
    _, hot = ids.parse_server_id(said[1])
    # Of a chain that has nothing at all, and behind the end of one.
    empty = ids.server_id(dm.id, ids.in_sub(hot, ids.sub_of(hot) % ids.MAX_SUB + 1))
    beyond = ids.server_id(dm.id, ids.in_sub(ids.MAX_ID, 0))
    await sync(ann, marks={conv: f"{beyond},{said[1]},{empty}"}, keep=True)
    assert kept(ann_user, ann_ref) == {conv: said[1]}
    await sync(ann, marks={conv: f"{said[0]},{said[1]}"}, keep=True)
    assert kept(ann_user, ann_ref) == {conv: f"{said[0]},{said[1]}"}
    anew, _ = await device_of(server, ann_user)
    assert await sync(anew, resume=ann_ref) == []
