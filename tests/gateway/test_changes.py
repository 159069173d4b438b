"""Edits, deletions, reactions and forwarding as a client meets them: real server, real adapters, a real client."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import User
from chatproject import container
from messaging.domain import ids
from messaging.domain.messages import MessageChangeKind, StoredChange
from messaging.protocol import chat_pb2
from messaging.services.conversations import add_members, remove_member
from tests.conftest import outside_the_loop
from tests.gateway.conftest import Client, Frame, Server, conv_ref

pytestmark = pytest.mark.django_db(transaction=True)

MakeUser = Callable[..., User]
Make = Callable[..., Any]


class Group:
    """Ann's group with Bob, both connected."""

    def __init__(self, server: Server, group: Any, users: list[User], clients: list[Client]) -> None:
        self.server, self.id, self.conv, self.users = server, group.id, conv_ref(group), users
        self.ann, self.bob = clients
        self.ann_ref, self.bob_ref = (ids.user_ref(user.pk) for user in users)

    async def said(self, client: Client, body: str = "hello") -> str:
        """Have a message stored and return its ``server_id``."""
        server_id = str((await client.say(self.conv, body))["server_id"])
        for each in (self.ann, self.bob):
            await each.expect("msg", server_id=server_id)
        return server_id

    async def history(self, user: User) -> dict[str, Any]:
        http = self.server.http(self.server.token(user))
        answer = await http.get(f"/v1/conversations/{self.conv}/messages")
        page: dict[str, Any] = answer.json()
        return page


@pytest.fixture
async def group(server: Server, make_user: MakeUser, make_group: Make) -> Group:
    users = [make_user("ann"), make_user("bob")]
    made = make_group(*users)
    return Group(server, made, users, [await server.sign_in(user) for user in users])


async def change(client: Client, op: str, server_id: str, *, msg_id: str | None = None, **fields: Any) -> Frame:
    """Send a change and return its ack."""
    msg_id = msg_id or str(uuid4())
    await client.send(op, msg_id=msg_id, server_id=server_id, **fields)
    return await client.expect("ack", msg_id=msg_id)


async def refused(client: Client, op: str, server_id: str, **fields: Any) -> str:
    """Send a change and return the code of its refusal."""
    msg_id = str(uuid4())
    await client.send(op, msg_id=msg_id, server_id=server_id, **fields)
    return str((await client.expect("error", msg_id=msg_id))["code"])


async def test_a_change_is_acked_and_reaches_everybody_in_one_chain(group: Group) -> None:
    said = await group.said(group.ann, "helo")
    phone = await group.server.sign_in(group.users[0])
    edit = await change(group.ann, "edit", said, body="hello")
    react = await change(group.bob, "react", said, emoji="👍", on=True)
    delete = await change(group.ann, "delete", said)
    for client in (group.ann, phone, group.bob):
        first = await client.expect("edit", server_id=edit["server_id"])
        assert (first["target"], first["body"], first["from"], first["prev"]) == (said, "hello", group.ann_ref, said)
        second = await client.expect("react", server_id=react["server_id"])
        assert (second["emoji"], second["on"], second["count"], second["prev"]) == ("👍", True, 1, edit["server_id"])
        third = await client.expect("delete", server_id=delete["server_id"])
        assert third["prev"] == react["server_id"]
        assert [frame.get("msg_id") for frame in (first, third)] == (
            [None, None] if client is group.bob else [edit["msg_id"], delete["msg_id"]]
        )
        assert ("msg_id" in second) is (client is group.bob)
    [row, *_] = (await group.history(group.users[1]))["results"]
    assert (row["server_id"], row["deleted"], row["body"], row["reactions"]) == (said, True, "", [])


async def test_protobuf_changes_and_is_told(group: Group) -> None:
    said = await group.said(group.ann)
    token = group.server.token(group.users[1])
    client = await group.server.connect(subprotocols=["chat.v1.protobuf", f"bearer.{token}"])

    async def until(op: str) -> Any:
        async with asyncio.timeout(5):
            while True:
                data = await client.connection.recv()
                assert isinstance(data, bytes)
                frame = chat_pb2.ServerFrame.FromString(data)
                if frame.WhichOneof("op") == op:
                    return getattr(frame, op)

    await until("ready")
    frame = chat_pb2.ClientFrame()
    frame.react.msg_id, frame.react.server_id, frame.react.emoji, frame.react.on = str(uuid4()), said, "❤️", True
    await client.connection.send(frame.SerializeToString())
    told = await until("react")
    assert (told.target, told.emoji, told.on, told.count, told.msg_id) == (said, "❤️", True, 1, frame.react.msg_id)
    frame = chat_pb2.ClientFrame()
    frame.sync.marks[group.conv] = said
    await client.connection.send(frame.SerializeToString())
    backfill = await until("backfill")
    assert [it.react.emoji for it in backfill.changes] == ["❤️"]
    assert backfill.mark == told.server_id


async def test_a_resend_makes_no_second_change_whatever_came_since(group: Group) -> None:
    said = await group.said(group.ann)
    msg_id = str(uuid4())
    first = await change(group.ann, "edit", said, body="once", msg_id=msg_id)
    again = await change(group.ann, "edit", said, body="once", msg_id=msg_id)
    delete = await change(group.ann, "delete", said)
    await group.ann.expect("delete", server_id=delete["server_id"])
    late = await change(group.ann, "edit", said, body="once", msg_id=msg_id)
    gone = await change(group.ann, "delete", said, msg_id=delete["msg_id"])
    assert {it["server_id"] for it in (first, again, late)} == {first["server_id"]}
    assert gone["server_id"] == delete["server_id"]
    marker = await group.ann.say(group.conv, "marker")
    assert (await group.ann.expect("msg", server_id=marker["server_id"]))["prev"] == delete["server_id"]


async def test_what_was_acked_a_moment_ago_can_be_changed_at_once(group: Group) -> None:
    ids_of_sends = [str(uuid4()) for _ in range(10)]
    for msg_id in ids_of_sends:
        await group.ann.send("send", msg_id=msg_id, conv=group.conv, body="typo")
    edits = []
    for msg_id in ids_of_sends:
        server_id = (await group.ann.expect("ack", msg_id=msg_id))["server_id"]
        edits.append(await change(group.ann, "edit", server_id, body="mended"))
    await group.bob.expect("edit", server_id=edits[-1]["server_id"])
    texts = {row["body"] for row in (await group.history(group.users[0]))["results"] if row["kind"] == "text"}
    assert texts == {"mended"}


async def test_what_may_not_be_changed_is_refused_with_a_reason(group: Group) -> None:
    said, gone = await group.said(group.ann), await group.said(group.ann)
    delete = await change(group.ann, "delete", gone)
    await group.bob.expect("delete", server_id=delete["server_id"])
    event = (await group.ann.say(group.conv, "marker"))["server_id"]
    beyond = ids.server_id(group.id, 5)
    assert await refused(group.bob, "edit", said, body="mine") == "forbidden"
    assert await refused(group.bob, "delete", said) == "forbidden"
    assert await refused(group.ann, "edit", gone, body="back") == "conflict"
    assert await refused(group.bob, "react", gone, emoji="👍", on=True) == "conflict"
    assert await refused(group.ann, "delete", gone) == "conflict"
    assert await refused(group.ann, "edit", said, body=" ") == "invalid"
    assert await refused(group.ann, "edit", said, body="x\x00") == "invalid"
    assert await refused(group.ann, "edit", said, body="x" * 70_000) == "too_large"
    assert await refused(group.ann, "react", said, emoji="two 👍", on=True) == "invalid"
    assert await refused(group.ann, "react", beyond, emoji="👍", on=True) == "not_found"
    assert await refused(group.ann, "edit", "m_x", body="x") == "invalid"
    await group.ann.send("edit", msg_id="x", server_id=said, body="x")
    assert (await group.ann.expect("error", msg_id="x"))["code"] == "invalid"
    await group.bob.expect("msg", server_id=event)
    assert [it for it in await group.bob.quiet() if it["op"] in ("edit", "delete", "react", "link")] == []


async def test_what_the_owner_may_delete(group: Group) -> None:
    said = await group.said(group.bob, "spam")
    ack = await change(group.ann, "delete", said)
    assert (await group.bob.expect("delete", server_id=ack["server_id"]))["from"] == group.ann_ref


async def test_a_stranger_and_a_former_member_may_nothing(group: Group, make_user: MakeUser) -> None:
    said, own = await group.said(group.ann, "private"), await group.said(group.bob, "mine")
    eve = await group.server.sign_in(make_user("eve"))
    await asyncio.to_thread(
        outside_the_loop,
        lambda: remove_member(actor=group.users[0].pk, conversation_id=group.id, user=group.users[1].pk),
    )
    await group.bob.expect("conv", change="removed")
    for client in (eve, group.bob):
        for op, fields in (("edit", {"body": "x"}), ("delete", {}), ("react", {"emoji": "👍", "on": True})):
            for target in (said, own, ids.server_id(99, 99)):
                assert await refused(client, op, target, **fields) == "not_found"
    # Nothing reaches who is gone, not even about the own old message.
    deletion = await change(group.ann, "delete", own)
    await group.ann.expect("delete", server_id=deletion["server_id"])
    assert [it for it in await group.bob.quiet() if it["op"] in ("edit", "delete", "react", "link")] == []


async def test_who_came_later_sees_no_more_than_a_link(group: Group, make_user: MakeUser) -> None:
    said = await group.said(group.ann, "before")
    late_user = make_user("late")
    late = await group.server.sign_in(late_user)
    await asyncio.to_thread(
        outside_the_loop,
        lambda: add_members(actor=group.users[0].pk, conversation_id=group.id, users=[ids.UserId(late_user.pk)]),
    )
    joined = await late.expect("msg", kind="event")
    edit = await change(group.ann, "edit", said, body="secret")
    link = await late.expect("link", server_id=edit["server_id"])
    assert link["prev"] == joined["server_id"]
    await late.send("sync", marks={group.conv: joined["server_id"]})
    backfill = await late.expect("backfill")
    assert [it["op"] for it in backfill["changes"]] == ["link"]
    assert backfill["mark"] == edit["server_id"]
    assert await refused(late, "react", said, emoji="👍", on=True) == "not_found"
    assert "secret" not in json.dumps([link, backfill, await group.history(late_user), *await late.quiet()])


# --- resume ---------------------------------------------------------------------------------------


async def test_who_was_away_gets_the_changes_and_the_mark(group: Group) -> None:
    old = await group.said(group.ann, "old")
    seen = await group.said(group.ann, "seen")
    await group.bob.connection.close()
    edits = [await change(group.ann, "edit", old, body=str(n)) for n in range(2)]
    react = await change(group.ann, "react", seen, emoji="🎉", on=True)
    gone = await group.ann.say(group.conv, "oh no")
    doomed = await change(group.ann, "edit", gone["server_id"], body="oh well")
    delete = await change(group.ann, "delete", gone["server_id"])
    await group.ann.expect("delete", server_id=delete["server_id"])
    back = await group.server.sign_in(group.users[1])
    await back.send("sync", marks={group.conv: seen})
    backfill = await back.expect("backfill", conv=group.conv)
    ops = [(it["op"], it["server_id"]) for it in backfill["changes"]]
    # What an edit said that was replaced or deleted since is nobody's to read.
    assert ops == [
        ("link", edits[0]["server_id"]),
        ("edit", edits[1]["server_id"]),
        ("react", react["server_id"]),
        ("link", doomed["server_id"]),
        ("delete", delete["server_id"]),
    ]
    assert backfill["mark"] == delete["server_id"]
    assert not backfill.get("stale")
    assert "oh" not in json.dumps(backfill)
    folded = {it["server_id"]: it for it in backfill["messages"]}
    assert folded[gone["server_id"]]["deleted"]
    assert folded[seen]["reactions"] == [{"emoji": "🎉", "count": 1, "users": [group.ann_ref]}]
    assert (await back.expect("synced"))["convs"] == 1
    await back.send("sync", marks={group.conv: backfill["mark"]})
    assert (await back.expect("synced"))["convs"] == 0


async def test_more_changes_than_a_backfill_holds_make_it_stale(
    start_server: Any, limits: Callable[..., None], make_user: MakeUser, make_group: Make
) -> None:
    limits(max_backfill_changes=3, max_backfill_bytes=2_000, max_body_bytes=2_000)
    server = await start_server()
    users = [make_user("ann"), make_user("bob")]
    group = Group(server, made := make_group(*users), users, [await server.sign_in(user) for user in users])
    said = await group.said(group.ann)
    _, mark = ids.parse_server_id(said)

    def edits(*sizes: int) -> list[StoredChange]:
        return [
            StoredChange(
                made.id, ids.MessageId(mark + n), ids.MessageId(mark), users[0].pk, uuid4().bytes,
                MessageChangeKind.EDIT, "x" * size,
            )
            for n, size in enumerate(sizes, 1)
        ]  # fmt: skip

    async def synced(*changes: StoredChange) -> tuple[int, bool]:
        await asyncio.to_thread(outside_the_loop, lambda: container.message_store().upsert([], changes=changes))
        await group.bob.send("sync", marks={group.conv: said})
        backfill = await group.bob.expect("backfill")
        return len(backfill.get("changes", ())), bool(backfill.get("stale"))

    assert await synced(*edits(10, 10)) == (2, False)
    assert await synced(*edits(10, 10, 10, 10)) == (3, True)
    assert await synced(*edits(10, 10, 10, 10, 1_990)) == (0, True)


# --- forwarding -----------------------------------------------------------------------------------


async def test_a_message_is_forwarded_and_its_origin_not_told(group: Group, make_user: MakeUser, make_dm: Make) -> None:
    said = await group.said(group.bob, "news")
    eve_user = make_user("eve")
    dm = conv_ref(make_dm(group.users[0], eve_user))
    eve = await group.server.sign_in(eve_user)
    msg_id = str(uuid4())
    await group.ann.send("send", msg_id=msg_id, conv=dm, body="news", forwarded_from=said)
    ack = await group.ann.expect("ack", msg_id=msg_id)
    told = await eve.expect("msg", server_id=ack["server_id"])
    assert told["forwarded"] is True
    assert not {"forwarded_from", "reply_to"} & told.keys()
    assert said not in json.dumps(told)


async def test_only_what_one_can_read_can_be_forwarded(group: Group, make_user: MakeUser, make_dm: Make) -> None:
    said, gone = await group.said(group.ann, "private"), await group.said(group.ann)
    delete = await change(group.ann, "delete", gone)
    await group.ann.expect("delete", server_id=delete["server_id"])
    eve_user = make_user("eve")
    dm = conv_ref(make_dm(group.users[0], eve_user))
    eve = await group.server.sign_in(eve_user)

    async def forwarding(client: Client, origin: str) -> str:
        msg_id = str(uuid4())
        await client.send("send", msg_id=msg_id, conv=dm, body="x", forwarded_from=origin)
        return str((await client.expect("error", msg_id=msg_id))["code"])

    assert await forwarding(eve, said) == await forwarding(eve, ids.server_id(99, 99)) == "not_found"
    assert await forwarding(group.ann, gone) == "conflict"
    assert await forwarding(group.ann, "m_x") == "invalid"
