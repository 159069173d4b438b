"""Presence on the socket: who sees whom, and who sees nobody any more (design section 6)."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from channels.routing import ProtocolTypeRouter

from accounts.models import User
from accounts.services.people import block, unblock, update_profile
from chatproject import container, runtime
from messaging.domain import ids
from messaging.domain.events import PodBatch, PresenceChanged, encode
from messaging.gateway import pod as pod_module
from messaging.gateway.consumer import ChatConsumer
from messaging.gateway.pod import Pod
from messaging.gateway.server import build_server
from messaging.ports import POD_TTL_S, RegistryUnavailable
from messaging.services.conversations import remove_member
from tests.conftest import eventually, outside_the_loop
from tests.gateway.conftest import Client, Frame, Server

pytestmark = pytest.mark.django_db(transaction=True)


class Watch:
    """Ann watches Bob, with whom she has a DM, and Cat, who is in a group with her; Dan is there to mark time."""

    def __init__(self, server: Server, users: dict[str, User], group: Any) -> None:
        self.server = server
        self.users = users
        self.group = group
        self.refs = {name: ids.user_ref(user.pk) for name, user in users.items()}

    async def sign_in(self, name: str) -> Client:
        return await self.server.sign_in(self.users[name])

    async def watching(self, name: str, *others: str) -> tuple[Client, dict[str, str]]:
        """Return a socket that watches others, and what it was told of them at first."""
        client = await self.sign_in(name)
        await client.send("presence", users=[self.refs[other] for other in others])
        told = {other: await client.expect("presence", user=self.refs[other]) for other in others}
        return client, {other: frame["state"] for other, frame in told.items()}

    async def news(self, name: str, state: Any = "online") -> None:
        """Let a change reach the pod, as from another pod that does not know who may see it."""
        event = PresenceChanged(ids.UserId(self.users[name].pk), state, 5 if state == "offline" else None)
        await container.pod_bus().send(runtime.pod_name(), encode(PodBatch([event])))

    async def told(self, client: Client) -> list[tuple[str, str]]:
        """Return whose state a socket was told until now; Dan, whom all watch, marks the moment."""
        await self.news("dan")
        await client.expect("presence", user=self.refs["dan"], state="online")
        names = {ref: name for name, ref in self.refs.items()}
        passed, client.passed = client.passed, []
        return [(names[frame["user"]], frame["state"]) for frame in passed if frame["op"] == "presence"]


async def test_who_is_away_for_a_moment_after_having_been_at_another_pod_is_not_said_to_be_away(
    start_server: Any, limits: Any, make_user: Any, make_dm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pod has a grace for whoever leaves it: the other one's has only begun when this one's is over."""
    monkeypatch.setattr(pod_module, "_TICK_S", 0.05)
    limits(presence_grace_s=1)
    server = await start_server()
    ann, bob = make_user("ann"), make_user("bob")
    make_dm(ann, bob)
    watcher, ref = await server.sign_in(ann), ids.user_ref(bob.pk)
    here = await server.sign_in(bob)
    await watcher.send("presence", users=[ref])
    await watcher.expect("presence", user=ref, state="online")
    await here.connection.close()
    pod, registry = await runtime.pod(), container.registry()
    there = [(ids.UserId(bob.pk), "elsewhere-1")]
    await eventually(lambda: pod._in_grace)
    await eventually(lambda: not pod._stale, timeout_s=5.0)
    # However short it was.
    await registry.register("elsewhere", there)
    await registry.unregister("elsewhere", there)
    await eventually(lambda: not pod._in_grace, timeout_s=5.0)
    assert await watcher.quiet() == [], "what is left to say is for the pod where he was last"


@pytest.fixture
async def other_pod(server: Server) -> AsyncIterator[tuple[Pod, Server]]:
    """Return a second pod, which shares registry, bus and log with the first, and the server of its sockets."""
    first = await runtime.pod()
    pod = Pod(
        name="other",
        limits=first.limits,
        log=first.log,
        registry=first.registry,
        bus=first.bus,
        database=first.database,
    )
    await pod.start()

    async def here() -> Pod:
        return pod

    app = ProtocolTypeRouter({"websocket": ChatConsumer.as_asgi(pod=here)})
    listener = socket.create_server(("127.0.0.1", 0))
    serving = build_server(app, host="127.0.0.1", port=0, limits=first.limits)
    task = asyncio.create_task(serving.serve(sockets=[listener]))
    await serving.listening.wait()

    async def end() -> None:
        serving.should_exit = True
        await task

    there = Server(listener.getsockname()[1], end)
    yield pod, there
    await pod.stop()
    await there.stop()


async def test_who_does_not_come_back_from_a_pod_that_drained_is_said_to_be_away_by_another(
    watch: Watch, other_pod: tuple[Pod, Server]
) -> None:
    other, there = other_pod
    await there.sign_in(watch.users["bob"])
    cat = await there.sign_in(watch.users["cat"])
    ann, first = await watch.watching("ann", "bob", "cat", "dan")
    assert (first["bob"], first["cat"]) == ("online", "online")
    await other.drain()
    assert await cat.close_code() == 1012
    await watch.sign_in("cat")
    # Said by the pod that she came to; it does not know what ann was told before.
    await ann.expect("presence", user=watch.refs["cat"], state="online")
    await other.stop()
    pod = await runtime.pod()
    began = pod.now_ms()

    async def look(at_s: float) -> list[tuple[str, str]]:
        for turn in range(3):
            await pod.presence.look(turn, now=at_s, now_ms=began + int(1000 * at_s))
        return await watch.told(ann)

    # Nobody is missed for long enough: the one may be on the way, and the other is here.
    assert [await look(at_s) for at_s in (0.0, 10.0, 19.0)] == [[], [], []]
    assert await look(20.0) == [("bob", "offline")]
    assert await look(60.0) == [], "it is said once"
    seen = await asyncio.to_thread(outside_the_loop, lambda: User.objects.get(username="bob").last_seen_at)
    assert seen is not None
    assert int(seen.timestamp() * 1000) == began + 20_000
    await watch.sign_in("bob")
    await ann.expect("presence", user=watch.refs["bob"], state="online")


async def test_a_pod_that_was_killed_or_cut_off_is_looked_after_by_the_others(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod, registry = await runtime.pod(), container.registry()
    bob = [(ids.UserId(watch.users["bob"].pk), "elsewhere-1")]
    await registry.register("elsewhere", bob)
    ann, first = await watch.watching("ann", "bob", "dan")
    assert first["bob"] == "online"

    async def look(at_s: float) -> list[tuple[str, str]]:
        # What is registered here stays so.
        await registry.heartbeat(pod.name)
        for turn in range(3):
            await pod.presence.look(turn, now=at_s, now_ms=pod.now_ms() + int(1000 * at_s))
        return await watch.told(ann)

    assert [await look(at_s) for at_s in (0.0, 100.0)] == [[], []]
    monkeypatch.setattr(registry, "_clock", lambda: time.time() + POD_TTL_S + 1)
    assert [await look(at_s) for at_s in (200.0, 219.0, 220.0)] == [[], [], [("bob", "offline")]]
    # It was cut off, and is there again.
    await registry.register("elsewhere", bob)
    assert await look(230.0) == [("bob", "online")]
    # Where the registry was out, it begins anew with whom it misses.
    await registry.unregister("elsewhere", bob)
    assert await look(300.0) == []
    with monkeypatch.context() as out:
        out.setattr(pod.presence, "_registry", Out())
        await pod.presence.look(0, now=310.0, now_ms=pod.now_ms())
    assert [await look(at_s) for at_s in (320.0, 339.0, 400.0)] == [[], [], [("bob", "offline")]]


class Out:
    """A registry that does not answer."""

    async def whereabouts(self, users: Any) -> Any:
        raise RegistryUnavailable


async def do(function: Callable[[], Any]) -> None:
    await asyncio.to_thread(outside_the_loop, function)


@pytest.fixture
async def watch(server: Server, make_user: Any, make_dm: Any, make_group: Any) -> Watch:
    users = {name: make_user(name) for name in ("ann", "bob", "cat", "dan")}
    make_dm(users["ann"], users["bob"])
    group = make_group(users["ann"], users["cat"])
    for name in ("ann", "bob", "cat"):
        make_dm(users[name], users["dan"])
    return Watch(server, users, group)


async def test_a_change_is_told_as_it_is(watch: Watch) -> None:
    ann, first = await watch.watching("ann", "bob", "dan")
    assert first == {"bob": "offline", "dan": "offline"}
    await watch.sign_in("bob")
    assert (await ann.expect("presence", user=watch.refs["bob"]))["state"] == "online"
    await watch.news("bob", "offline")
    gone: Frame = await ann.expect("presence", user=watch.refs["bob"])
    assert (gone["state"], gone["last_seen"]) == ("offline", 5)


async def test_a_flap_is_not_seen(watch: Watch) -> None:
    phone = await watch.sign_in("bob")
    ann, first = await watch.watching("ann", "bob", "dan")
    assert first["bob"] == "online"
    bob = ids.UserId(watch.users["bob"].pk)

    async def gone() -> bool:
        return await container.registry().lookup([bob]) == {}

    for _ in range(3):
        await phone.connection.close()
        await eventually(gone)
        phone = await watch.sign_in("bob")
    assert await watch.told(ann) == []


async def test_a_second_device_is_no_news(watch: Watch) -> None:
    phone = await watch.sign_in("bob")
    ann, _ = await watch.watching("ann", "bob", "dan")
    tablet = await watch.sign_in("bob")
    await phone.connection.close()
    await tablet.quiet()
    assert await watch.told(ann) == []


@pytest.mark.parametrize("blocker", ["ann", "bob"])
async def test_a_block_lets_both_look_offline_from_that_moment_on(watch: Watch, blocker: str) -> None:
    bob, _ = await watch.watching("bob", "ann", "dan")
    ann, first = await watch.watching("ann", "bob", "cat", "dan")
    await bob.expect("presence", user=watch.refs["ann"], state="online")
    assert first["bob"] == "online"
    owner, target = ("ann", "bob") if blocker == "ann" else ("bob", "ann")
    await do(lambda: block(user=watch.users[owner], other_id=ids.UserId(watch.users[target].pk)))
    for client, other in ((ann, "bob"), (bob, "ann")):
        told = await client.expect("presence", user=watch.refs[other])
        assert (told["state"], told.get("last_seen")) == ("offline", None)
    await watch.news("bob")
    await watch.news("ann")
    await watch.news("cat")
    assert await watch.told(ann) == [("cat", "online")]
    assert await watch.told(bob) == []
    await do(lambda: unblock(user=watch.users[owner], other_id=ids.UserId(watch.users[target].pk)))
    await ann.send("presence", users=[watch.refs["bob"]])
    assert (await ann.expect("presence", user=watch.refs["bob"]))["state"] == "online"


@pytest.mark.parametrize("leaver", ["ann", "cat"])
async def test_who_leaves_the_last_group_in_common_sees_nobody_there_and_is_not_seen(watch: Watch, leaver: str) -> None:
    cat, _ = await watch.watching("cat", "ann", "dan")
    ann, _ = await watch.watching("ann", "cat", "bob", "dan")
    await cat.expect("presence", user=watch.refs["ann"], state="online")
    user = ids.UserId(watch.users[leaver].pk)
    await do(lambda: remove_member(actor=user, conversation_id=watch.group.id, user=user))
    gone, other = (ann, "cat") if leaver == "ann" else (cat, "ann")
    told = await gone.expect("presence", user=watch.refs[other])
    assert (told["state"], told.get("last_seen")) == ("offline", None)
    for name, state in (
        ("cat", "offline"),
        ("ann", "offline"),
        ("cat", "online"),
        ("ann", "online"),
        ("bob", "online"),
    ):
        await watch.news(name, state)
    # That the other looks offline may be said twice.
    assert [told for told in await watch.told(ann) if told[1] == "online"] == [("bob", "online")]
    assert [told for told in await watch.told(cat) if told[1] == "online"] == []


async def test_who_hides_looks_offline_at_once_and_comes_unseen(watch: Watch) -> None:
    ann, _ = await watch.watching("ann", "bob", "dan")
    phone = await watch.sign_in("bob")
    await ann.expect("presence", user=watch.refs["bob"], state="online")
    await do(lambda: update_profile(user=watch.users["bob"], share_presence=False))
    told = await ann.expect("presence", user=watch.refs["bob"])
    assert (told["state"], told.get("last_seen")) == ("offline", None)
    await ann.send("presence", users=[watch.refs["bob"], watch.refs["dan"]])
    told = await ann.expect("presence", user=watch.refs["bob"])
    assert (told["state"], told.get("last_seen")) == ("offline", None)
    await phone.connection.close()


async def test_who_hides_sees_nobody_any_more(watch: Watch) -> None:
    bob, _ = await watch.watching("bob", "ann", "dan")
    ann = await watch.sign_in("ann")
    await bob.expect("presence", user=watch.refs["ann"], state="online")
    await do(lambda: update_profile(user=watch.users["bob"], presence="nobody"))
    gone = await bob.expect("presence", user=watch.refs["ann"])
    assert (gone["state"], gone.get("last_seen")) == ("offline", None)
    await bob.send("presence", users=[watch.refs["ann"]])
    assert (await bob.expect("presence", user=watch.refs["ann"]))["state"] == "offline"
    # Until he shows himself again, and asks.
    await do(lambda: update_profile(user=watch.users["bob"], presence="contacts"))
    await bob.send("presence", users=[watch.refs["ann"]])
    assert (await bob.expect("presence", user=watch.refs["ann"]))["state"] == "online"
    await ann.connection.close()


async def test_who_hid_before_comes_unseen_by_those_who_watched_already(watch: Watch) -> None:
    ann, _ = await watch.watching("ann", "bob", "dan")
    await do(lambda: User.objects.filter(username="bob").update(share_presence=False))
    bob = await watch.sign_in("bob")
    await bob.quiet()
    await watch.sign_in("dan")
    await ann.expect("presence", user=watch.refs["dan"], state="online")
    assert [frame for frame in ann.passed if frame.get("user") == watch.refs["bob"]] == []


async def test_a_new_subscription_replaces_the_old_one_everywhere(watch: Watch) -> None:
    ann, _ = await watch.watching("ann", "bob", "cat")
    bob, cat, dan = (ids.UserId(watch.users[name].pk) for name in ("bob", "cat", "dan"))
    assert set(await container.registry().watchers([bob, cat, dan])) == {bob, cat}
    await ann.send("presence", users=[watch.refs["cat"], watch.refs["dan"]])
    for name in ("cat", "dan"):
        await ann.expect("presence", user=watch.refs[name])
    assert set(await container.registry().watchers([bob, cat, dan])) == {cat, dan}
    await watch.news("bob")
    await watch.news("cat")
    assert await watch.told(ann) == [("cat", "online")]
    other, _ = await watch.watching("ann", "cat")
    await ann.connection.close()

    async def unwatched() -> bool:
        return set(await container.registry().watchers([bob, cat, dan])) == {cat}

    await eventually(unwatched)
    await other.connection.close()

    async def nobody() -> bool:
        return await container.registry().watchers([bob, cat, dan]) == {}

    await eventually(nobody)
