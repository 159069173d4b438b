"""Messages over REST: send, page through, mark as read."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from accounts.models import Block
from chatproject import container
from messaging.domain import ids
from messaging.domain.messages import StoredMessage
from messaging.selectors import history
from tests.api.conftest import Person, problem
from tests.media.objects import ready

pytestmark = pytest.mark.django_db
Route = Callable[[], None]

#: A moment of 2027.
SOME_MS = 1_800_000_000_000


def test_a_sent_message_is_in_history(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    media = ready(ann.id)
    first = ann.say(dm, "héllo 👋", media=[media])
    assert first.status_code == 201
    sent = first.json()
    reply = bob.say(dm, "hi", reply_to=sent["server_id"]).json()
    route()
    newest, older = bob.get(f"conversations/{dm}/messages").json()["results"][:2]
    assert newest == {
        "server_id": reply["server_id"],
        "conv": dm,
        "from": bob.ref,
        "ts": reply["ts"],
        "body": "hi",
        "media": [],
        "prev": sent["server_id"],
        "reply_to": sent["server_id"],
        "kind": "text",
        "msg_id": reply["msg_id"],
        "forwarded": False,
        "edited_at": None,
        "deleted": False,
        "withheld": False,
        "reactions": [],
        "mentions": [],
    }
    assert (older["body"], older["media"], older["ts"]) == ("héllo 👋", [media], sent["ts"])
    assert "msg_id" not in older


def test_repeating_a_msg_id_sends_nothing_new(ann: Person, bob: Person, route: Route) -> None:
    dm, body = ann.dm(bob), {"msg_id": str(uuid4()), "body": "once"}
    first = ann.post(f"conversations/{dm}/messages", body)
    again = ann.post(f"conversations/{dm}/messages", body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    # The id is the sender's own: another's message with the same one is another message.
    other = bob.post(f"conversations/{dm}/messages", body)
    assert other.status_code == 201
    route()
    assert ann.texts(dm) == ["once", "once"]


def test_a_body_of_the_limit_is_taken_and_one_more_byte_is_not(ann: Person, bob: Person) -> None:
    dm, most = ann.dm(bob), container.limits().max_body_bytes
    assert ann.say(dm, "x" * most).status_code == 201
    problem(ann.say(dm, "x" * (most - 1) + "é"), 413, "too_large")


def test_ten_media_references_are_taken_and_eleven_are_not(ann: Person, bob: Person) -> None:
    dm, most = ann.dm(bob), container.limits().max_media_refs
    media = [ready(ann.id) for _ in range(most + 1)]
    assert ann.say(dm, media=media[1:]).status_code == 201
    problem(ann.say(dm, media=media), 413, "too_large")


@pytest.mark.parametrize("text", ["", " \n\t", "nul\x00"])
def test_an_empty_body_is_refused(ann: Person, bob: Person, text: str) -> None:
    problem(ann.say(ann.dm(bob), text), 400, "invalid")


@pytest.mark.parametrize(
    "wrong",
    [
        {"body": 5},
        {"body": None},
        {"body": ["x"]},
        {"body": True},
        {"msg_id": "x"},
        {"msg_id": 5},
        {"msg_id": None},
        {"msg_id": "7f9c1b523f654c38a3c530b1a2f7a001"},
        {"msg_id": "{7f9c1b52-3f65-4c38-a3c5-30b1a2f7a001}"},
        {"msg_id": "7f9c1b523f65-4c38a3c5-30b1a2f7a001--"},
        {"media": "x"},
        {"media": [5]},
        {"media": [""]},
        {"media": ["a/b"]},
        {"media": ["x" * 257]},
        {"reply_to": 5},
        {"reply_to": "m_x"},
        {"reply_to": ids.server_id(5, 5)},
    ],
)
def test_wrong_fields_are_refused(ann: Person, bob: Person, wrong: dict[str, object]) -> None:
    body = {"msg_id": str(uuid4()), "body": "x", **wrong}
    problem(ann.post(f"conversations/{ann.dm(bob)}/messages", body), 400, "invalid")


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b'{"body": "\xff"}', b"[" * 100_000, b"NaN", b'{"msg_id": Infinity}', b"\x00"],
    ids=["empty", "cut", "not UTF-8", "deep", "NaN", "Infinity", "NUL"],
)
def test_what_is_not_json_is_refused(ann: Person, bob: Person, raw: bytes) -> None:
    path = f"/v1/conversations/{ann.dm(bob)}/messages"
    response = ann.client.post(path, raw, content_type="application/json")
    assert problem(response, 400, "bad_frame" if raw else "invalid")


def test_a_lone_surrogate_is_refused(ann: Person, bob: Person) -> None:
    path = f"/v1/conversations/{ann.dm(bob)}/messages"
    raw = b'{"msg_id": "%s", "body": "\\ud800"}' % str(uuid4()).encode()
    problem(ann.client.post(path, raw, content_type="application/json"), 400, "bad_frame")


def test_ten_megabytes_are_refused(ann: Person, bob: Person) -> None:
    problem(ann.say(ann.dm(bob), "x" * 10_000_000), 413, "too_large")


@pytest.mark.parametrize("blocker", ["ann", "bob"])
def test_the_blocked_and_the_blocker_cannot_write(ann: Person, bob: Person, blocker: str) -> None:
    dm = ann.dm(bob)
    owner, target = (ann, bob) if blocker == "ann" else (bob, ann)
    Block.objects.create(owner=owner.user, target=target.user)
    problem(ann.say(dm), 403, "blocked")
    problem(bob.say(dm), 403, "blocked")


def test_history_pages_both_ways(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    for number in range(10):
        ann.say(dm, str(number))
    route()
    path = f"conversations/{dm}/messages"
    newest = ann.get(path, limit=4).json()
    assert [message["body"] for message in newest["results"]] == ["9", "8", "7", "6"]
    assert newest["prev"] is None
    middle = ann.get(path, limit=4, before=newest["next"]).json()
    assert [message["body"] for message in middle["results"]] == ["5", "4", "3", "2"]
    oldest = ann.get(path, limit=4, before=middle["next"]).json()
    assert [message["body"] for message in oldest["results"] if message["kind"] == "text"] == ["1", "0"]
    assert oldest["next"] is None
    back = ann.get(path, limit=4, after=middle["prev"]).json()
    assert back["results"] == newest["results"]
    assert back["prev"] is None
    gap = ann.get(path, after=oldest["results"][0]["server_id"], before=newest["results"][-1]["server_id"]).json()
    assert gap["results"] == middle["results"]


def test_prev_skips_nothing(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    mark = ann.say(dm, "0").json()["server_id"]
    for number in range(1, 8):
        ann.say(dm, str(number))
    route()
    path = f"conversations/{dm}/messages"
    first = ann.get(path, limit=3, after=mark).json()
    assert [message["body"] for message in first["results"]] == ["3", "2", "1"]
    second = ann.get(path, limit=3, after=first["prev"]).json()
    assert [message["body"] for message in second["results"]] == ["6", "5", "4"]


def test_history_takes_its_own_cursors_only(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    one, two = ann.dm(bob), ann.dm(cat)
    for number in range(3):
        ann.say(one, str(number))
        ann.say(two, str(number))
    route()
    cursor = ann.get(f"conversations/{one}/messages", limit=1).json()["next"]
    inbox_cursor = ann.get("conversations", limit=1).json()["next"]
    server_id = ann.get(f"conversations/{one}/messages", limit=1).json()["results"][0]["server_id"]
    assert ann.get(f"conversations/{one}/messages", before=cursor).status_code == 200
    for name in ("before", "after"):
        for foreign in (cursor, server_id, inbox_cursor, cursor + "x", "x", "m_x", "c.d", "ü", "." * 300):
            problem(ann.get(f"conversations/{two}/messages", **{name: foreign}), 400, "invalid")


def test_who_joins_sees_what_comes_after(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    group = ann.group(bob)
    ann.say(group, "before")
    route()
    assert ann.post(f"conversations/{group}/members", {"members": [cat.ref]}).json() == {"added": [cat.ref]}
    before = cat.get(f"conversations/{group}").json()
    assert (before["last_message"], before["unread_count"]) == (None, 0)
    ann.say(group, "after")
    route()
    assert cat.texts(group) == ["after"]
    assert cat.get(f"conversations/{group}").json()["unread_count"] == 1


def test_who_comes_back_misses_what_was_said_meanwhile(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    group = ann.group(bob, cat)
    ann.delete(f"conversations/{group}/members/{cat.ref}")
    ann.say(group, "meanwhile")
    route()
    ann.post(f"conversations/{group}/members", {"members": [cat.ref]})
    ann.say(group, "again")
    route()
    assert cat.texts(group) == ["again"]


def test_reading_moves_the_mark_forward_only(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    for number in range(3):
        bob.say(dm, str(number))
    route()
    newest, middle, oldest = ann.get(f"conversations/{dm}/messages").json()["results"][:3]
    for message, stands in ((middle, middle), (oldest, middle), (newest, newest)):
        answer = ann.put(f"conversations/{dm}/read", {"server_id": message["server_id"]})
        assert (answer.status_code, answer.json()) == (200, {"server_id": stands["server_id"]})
    conversation = bob.get(f"conversations/{dm}").json()
    assert conversation["peer"]["last_read"] == newest["server_id"]
    assert conversation["last_read"] is None


def test_only_a_visible_message_can_be_read(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    dm, other = ann.dm(bob), ann.dm(cat)
    foreign = ann.say(other).json()["server_id"]
    route()
    conversation = ids.parse_conversation(dm)
    future = ids.server_id(conversation, ids.first_id_at(int(datetime(2080, 1, 1, tzinfo=UTC).timestamp() * 1000)))
    problem(ann.put(f"conversations/{dm}/read", {"server_id": future}), 404, "not_found")
    problem(ann.put(f"conversations/{dm}/read", {"server_id": foreign}), 400, "invalid")
    for wrong in ("x", 5, None, {}):
        problem(ann.put(f"conversations/{dm}/read", {"server_id": wrong}), 400, "invalid")
    problem(ann.put(f"conversations/{dm}/read", {}), 400, "invalid")


def test_backfill_sends_what_is_missing(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    limits = container.limits()
    dm, quiet, unnamed = ann.dm(bob), ann.dm(cat), ann.group(bob)
    quiet_mark = ids.parse_server_id(ann.say(quiet, "known").json()["server_id"])
    mark = ids.parse_server_id(bob.say(dm, "known").json()["server_id"])
    for number in range(3):
        bob.say(dm, str(number))
    bob.say(unnamed, "news")
    route()
    found = {
        part.conv: part
        for part in history.backfill(ann.id, {mark[0]: {0: mark[1]}, quiet_mark[0]: {0: quiet_mark[1]}}, limits=limits)
    }
    assert set(found) == {dm, unnamed}
    assert [message.body for message in found[dm].messages][-3:] == ["0", "1", "2"]
    assert not found[dm].more
    assert found[unnamed].messages[-1].body == "news"


def stored(dm: str, sender: Person, *moments_ms: int) -> list[ids.MessageId]:
    """Put messages into the store as if the log had taken them at these moments; each says its own."""
    conversation = ids.parse_conversation(dm)
    made = [ids.message_id_at(ts_ms=moment, sub=0, offset=7) for moment in moments_ms]
    rows = [
        StoredMessage(conversation, message, sender.id, uuid4().bytes, str(moment))
        for message, moment in zip(made, moments_ms, strict=True)
    ]
    container.message_store().upsert(rows)
    return made


def test_backfill_keeps_the_newest_and_says_that_there_is_more(ann: Person, bob: Person) -> None:
    dm = ann.dm(bob)
    moments = [SOME_MS + 10_000 * number for number in range(206)]
    messages = stored(dm, bob, *moments)
    for mark, more in ((messages[0], True), (messages[6], False)):
        (part,) = history.backfill(ann.id, {ids.parse_conversation(dm): {0: mark}}, limits=container.limits())
        assert [message.body for message in part.messages] == [str(moment) for moment in moments[-200:]]
        assert part.more is more


def test_a_replay_begins_five_seconds_before_the_mark(ann: Person, bob: Person) -> None:
    """The clocks of a log's servers may differ by as much: what is newer in the log may be older by its id."""
    dm = ann.dm(bob)
    conversation = ids.parse_conversation(dm)
    moments = [SOME_MS + later for later in (-5_001, -5_000, -1, 0, 1)]
    messages = stored(dm, bob, *moments)
    (part,) = history.backfill(ann.id, {conversation: {0: messages[3]}}, limits=container.limits())
    assert [message.body for message in part.messages] == [str(moment) for moment in moments[1:]]
    nothing_newer = history.backfill(ann.id, {conversation: {0: messages[4]}}, limits=container.limits())
    assert nothing_newer == []


def test_backfill_keeps_to_its_bytes_but_for_the_newest_message(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    mark = ids.parse_server_id(bob.say(dm, "known").json()["server_id"])
    for text in ("x" * 10, "é" * 3, "x" * 4, "y" * 20):
        bob.say(dm, text)
    route()

    def bodies(most: int) -> tuple[list[str], bool]:
        limits = replace(container.limits(), max_backfill_bytes=most)
        (part,) = history.backfill(ann.id, {mark[0]: {0: mark[1]}}, limits=limits)
        return [message.body for message in part.messages], part.more

    assert bodies(29) == (["x" * 4, "y" * 20], True)
    assert bodies(30) == (["é" * 3, "x" * 4, "y" * 20], True)
    assert bodies(5) == (["y" * 20], True)
    assert bodies(1_000)[1] is False


def test_backfill_ends_where_the_membership_ended(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    group = ann.group(bob, cat)
    mark = ids.parse_server_id(ann.say(group, "known").json()["server_id"])
    ann.say(group, "seen")
    ann.delete(f"conversations/{group}/members/{cat.ref}")
    ann.say(group, "not seen")
    route()
    (part,) = history.backfill(cat.id, {mark[0]: {0: mark[1]}}, limits=container.limits())
    assert [message.body for message in part.messages if message.kind == "text"][-1] == "seen"
    assert history.backfill(bob.id, {ids.ConversationId(5): {0: ids.MessageId(5)}}, limits=container.limits()) != []
    stranger = history.backfill(ids.UserId(5), {mark[0]: {0: mark[1]}}, limits=container.limits())
    assert stranger == []
