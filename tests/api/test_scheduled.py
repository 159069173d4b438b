"""Messages that are sent later: by REST, and what becomes of them when their time has come."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from datetime import timezone as dt_timezone
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from accounts.services import suspension
from chatproject import container
from messaging.domain import ids
from messaging.domain.errors import NotFound, Unavailable
from messaging.media.models import MediaObject, MediaUse
from messaging.ports import TOPIC_MESSAGES
from messaging.services.post import post_message
from messaging.unsent import scheduling, tasks
from messaging.unsent.models import ScheduledMessage
from tests.api.conftest import Person, problem
from tests.media.objects import ready

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


def later(**ahead: float) -> str:
    """Return a moment as clients write it, an hour ahead where nothing is said."""
    return (timezone.now() + timedelta(**(ahead or {"hours": 1}))).astimezone(UTC).isoformat().replace("+00:00", "Z")


def schedule(person: Person, conversation: str, body: str = "later", **more: Any) -> Any:
    asked = {"conversation": conversation, "msg_id": str(uuid4()), "body": body, "send_at": later()}
    return person.post("scheduled", asked | more)


def listed(person: Person, **params: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.get("scheduled", **params).json()["results"]
    return found


def come(*refs: str) -> None:
    """Let the time of these come."""
    rows = ScheduledMessage.objects.filter(pk__in=[ids.parse_scheduled(ref) for ref in refs])
    assert rows.update(send_at=timezone.now() - timedelta(seconds=1)) == len(refs)


def appended() -> int:
    """Return how many records the log has."""

    async def read() -> int:
        await container.message_log().start()
        reader = container.message_log().reader(TOPIC_MESSAGES, group=str(uuid4()))
        return len(await reader.poll(max_records=500, timeout_s=0))

    return async_to_sync(read)()


def test_it_waits_and_is_sent_when_its_time_has_come(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    answer = ann.say(dm, "a question").json()["server_id"]
    route()
    at = (timezone.now() + timedelta(days=9)).replace(microsecond=0)
    vienna = at.astimezone(dt_timezone(timedelta(hours=1)))
    asked = {"reply_to": answer, "mentions": [bob.ref], "send_at": vienna.isoformat()}
    made = schedule(ann, dm, "yes @bob", **asked)
    assert made.status_code == 201, made.json()
    one = made.json()
    assert {key: one[key] for key in ("conversation", "body", "reply_to", "mentions", "state", "code", "media")} == {
        "conversation": dm, "body": "yes @bob", "reply_to": answer, "mentions": [bob.ref], "state": "waiting",
        "code": "", "media": [],
    }  # fmt: skip
    assert one["send_at"] == at.isoformat().replace("+00:00", "Z")
    assert listed(ann) == listed(ann, conversation=dm) == [one]
    assert ann.get(f"scheduled/{one['id']}").json() == one
    assert tasks.send_scheduled() == 0
    route()
    assert bob.texts(dm) == ["a question"]
    come(one["id"])
    assert tasks.send_scheduled() == 1
    route()
    sent = bob.get(f"conversations/{dm}/messages").json()["results"][0]
    assert (sent["body"], sent["reply_to"], sent["mentions"], sent["from"]) == (
        "yes @bob", answer, [bob.ref], ann.ref,
    )  # fmt: skip
    assert ann.get(f"conversations/{dm}/messages").json()["results"][0]["msg_id"] == one["msg_id"]
    assert listed(ann) == []
    assert tasks.send_scheduled() == 0


def test_the_same_request_twice_is_one_message(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    msg_id = str(uuid4())
    first, second = (schedule(ann, dm, msg_id=msg_id) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    ann.post(f"scheduled/{first.json()['id']}/send", None)
    route()
    # The answer was lost, and it is sent by now.
    problem(schedule(ann, dm, msg_id=msg_id), 409, "conflict")
    assert ann.texts(dm) == ["later"]


def test_nobody_else_learns_of_it(ann: Person, bob: Person, cat: Person) -> None:
    group = ann.group(bob)
    ref = schedule(ann, group).json()["id"]
    assert listed(bob) == []
    for other in (bob, cat):
        for method, path, body in (
            ("get", f"scheduled/{ref}", None),
            ("patch", f"scheduled/{ref}", {"body": "mine"}),
            ("post", f"scheduled/{ref}/send", None),
            ("delete", f"scheduled/{ref}", None),
        ):
            answer = getattr(other, method)(path, body) if method in ("patch", "post") else getattr(other, method)(path)
            problem(answer, 404, "not_found")
    problem(schedule(cat, group), 404, "not_found")
    problem(cat.get("scheduled", conversation="c_x"), 404, "not_found")
    assert listed(cat, conversation=group) == []
    assert [one["body"] for one in listed(ann)] == ["later"]


def test_text_and_time_can_be_changed_until_it_is_sent(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    ref = schedule(ann, dm).json()["id"]
    changed = ann.patch(f"scheduled/{ref}", {"body": "better @bob", "mentions": [bob.ref]}).json()
    assert (changed["body"], changed["mentions"]) == ("better @bob", [bob.ref])
    at = later(days=3)
    assert datetime.fromisoformat(ann.patch(f"scheduled/{ref}", {"send_at": at}).json()["send_at"]) == (
        datetime.fromisoformat(at)
    )
    problem(ann.patch(f"scheduled/{ref}", {"body": "  "}), 400, "invalid")
    problem(ann.patch(f"scheduled/{ref}", {"send_at": later(days=-1)}), 400, "invalid")
    assert ann.get(f"scheduled/{ref}").json()["body"] == "better @bob"
    sent = ann.post(f"scheduled/{ref}/send", None)
    assert sent.status_code == 200
    route()
    assert [it["server_id"] for it in ann.get(f"conversations/{dm}/messages").json()["results"]][:1] == [
        sent.json()["server_id"]
    ]
    for answer in (
        ann.patch(f"scheduled/{ref}", {"body": "late"}),
        ann.delete(f"scheduled/{ref}"),
        ann.post(f"scheduled/{ref}/send", None),
    ):
        problem(answer, 404, "not_found")


def test_what_is_deleted_is_not_sent(ann: Person, bob: Person) -> None:
    dm = ann.dm(bob)
    ref = schedule(ann, dm).json()["id"]
    come(ref)
    assert ann.delete(f"scheduled/{ref}").status_code == 204
    before = appended()
    assert tasks.send_scheduled() == 0
    assert appended() == before


# --- once ---------------------------------------------------------------------------------------------


def test_who_dies_after_the_append_leaves_nothing_twice(ann: Person, bob: Person, route: Route) -> None:
    """Between the append and the row's end a worker may die; whoever takes it up again appends the same message."""
    dm = ann.dm(bob)
    refs = [schedule(ann, dm, f"number {number}").json()["id"] for number in range(2)]
    come(*refs)
    before = appended()
    for number, ref in enumerate(refs):
        row = ScheduledMessage.objects.get(pk=ids.parse_scheduled(ref))
        assert scheduling._take(row, scheduling._due())
        scheduling._post(ann.id, scheduling.plan_of(row))
        if number == 0:
            # Of one the router is further than of the other.
            route()
    # Meanwhile nobody may change what may be said already, nor send it beside.
    for ref in refs:
        problem(ann.patch(f"scheduled/{ref}", {"body": "other"}), 409, "conflict")
        problem(ann.delete(f"scheduled/{ref}"), 409, "conflict")
        problem(ann.post(f"scheduled/{ref}/send", None), 409, "conflict")
    assert tasks.send_scheduled() == 0, "somebody has them"
    ScheduledMessage.objects.update(taken_at=timezone.now() - timedelta(minutes=1))
    # Also where it would be refused by now: it was not, then.
    assert bob.put(f"blocks/{ann.ref}", None).status_code in (200, 204)
    assert tasks.send_scheduled() == 1
    assert listed(ann)[0]["state"] == "failed", "the log has it and the store does not know: it is asked again"
    bob.delete(f"blocks/{ann.ref}")
    route()
    assert ann.post(f"scheduled/{listed(ann)[0]['id']}/send", None).status_code == 200
    route()
    assert bob.texts(dm) == ["number 1", "number 0"]
    assert appended() == before + 2
    assert listed(ann) == []


def test_two_workers_at_once_send_it_once(ann: Person, bob: Person) -> None:
    ref = schedule(ann, ann.dm(bob)).json()["id"]
    come(ref)
    row = ScheduledMessage.objects.get(pk=ids.parse_scheduled(ref))
    assert [scheduling._take(row, scheduling._due()) for _ in range(2)] == [True, False]


def test_while_the_log_is_away_it_waits(ann: Person, bob: Person, route: Route, monkeypatch: Any) -> None:
    dm = ann.dm(bob)
    refs = [schedule(ann, dm, text).json()["id"] for text in ("one", "two")]
    come(*refs)

    def away(**_: Any) -> Any:
        raise Unavailable("away")

    monkeypatch.setattr(scheduling, "post_message", away)
    assert tasks.send_scheduled() == 0
    assert sorted(one["state"] for one in listed(ann)) == ["sending", "waiting"]
    monkeypatch.setattr(scheduling, "post_message", post_message)
    assert tasks.send_scheduled() == 1
    ScheduledMessage.objects.update(taken_at=timezone.now() - timedelta(minutes=1))
    assert tasks.send_scheduled() == 1
    route()
    assert sorted(bob.texts(dm)) == ["one", "two"]


@pytest.mark.logs_errors
def test_one_that_fails_for_a_fault_of_ours_holds_up_nobody(
    ann: Person, bob: Person, route: Route, monkeypatch: Any
) -> None:
    dm = ann.dm(bob)
    refs = [schedule(ann, dm, text, send_at=later(minutes=at)).json()["id"] for at, text in enumerate("xy", 1)]
    come(*refs)

    def broken(*, body: str, **more: Any) -> Any:
        if body == "x":
            raise RuntimeError("ours")
        return post_message(body=body, **more)

    monkeypatch.setattr(scheduling, "post_message", broken)
    assert tasks.send_scheduled() == 1
    route()
    assert bob.texts(dm) == ["y"]


# --- asked again --------------------------------------------------------------------------------------


def removed(ann: Person, bob: Person, conversation: str) -> None:
    assert ann.delete(f"conversations/{conversation}/members/{bob.ref}").status_code == 204


def blocked(ann: Person, bob: Person, _: str) -> None:
    ann.put(f"blocks/{bob.ref}", None)


def suspended(_: Person, bob: Person, __: str) -> None:
    suspension.suspend(user_id=bob.id, reason="for spam", until=None)


def closed(_: Person, bob: Person, __: str) -> None:
    type(bob.user).objects.filter(pk=bob.id).update(closed_at=timezone.now())


@pytest.mark.parametrize(
    ("what", "direct", "code"),
    [(removed, False, "not_found"), (blocked, True, "blocked"), (suspended, True, "suspended"),
     (closed, True, "unauthenticated")],
    ids=["removed", "blocked", "suspended", "closed"],
)  # fmt: skip
def test_whether_it_may_be_said_is_asked_when_it_is_sent(
    ann: Person, bob: Person, route: Route, what: Any, direct: bool, code: str
) -> None:
    conversation = ann.dm(bob) if direct else ann.group(bob)
    ref = schedule(bob, conversation, "my words").json()["id"]
    come(ref)
    what(ann, bob, conversation)
    before = appended()
    assert tasks.send_scheduled() == 0
    assert appended() == before
    [kept] = ScheduledMessage.objects.filter(user_id=bob.id)
    assert (kept.state, kept.code, kept.body) == ("failed", code, "my words")
    assert kept.detail
    assert tasks.send_scheduled() == 0, "it is not tried again by itself"


def test_its_author_keeps_the_text_and_is_told_why(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    group = ann.group(bob, cat)
    ref = schedule(bob, group, "my words").json()["id"]
    come(ref)
    removed(ann, bob, group)
    tasks.send_scheduled()
    [one] = listed(bob)
    assert (one["body"], one["state"], one["code"], one["detail"]) == (
        "my words", "failed", "not_found", "no such conversation",
    )  # fmt: skip
    problem(bob.post(f"scheduled/{ref}/send", None), 404, "not_found")
    ann.post(f"conversations/{group}/members", {"members": [bob.ref]})
    route()
    # With another time it waits again.
    assert bob.patch(f"scheduled/{ref}", {"send_at": later()}).json()["state"] == "waiting"
    assert bob.post(f"scheduled/{ref}/send", None).status_code == 200
    route()
    assert cat.texts(group) == ["my words"]


# --- limits -------------------------------------------------------------------------------------------


def test_how_many_and_how_far(ann: Person, bob: Person, settings: Any) -> None:
    dm = ann.dm(bob)
    settings.LIMITS = replace(settings.LIMITS, max_scheduled=2, max_body_bytes=10)
    problem(schedule(ann, dm, send_at=later(days=121)), 400, "invalid")
    problem(schedule(ann, dm, send_at=later(minutes=-6)), 400, "invalid")
    problem(schedule(ann, dm, "x" * 11), 413, "too_large")
    problem(schedule(ann, dm, " "), 400, "invalid")
    problem(schedule(ann, dm, mentions=["all"]), 400, "invalid")
    problem(schedule(ann, dm, reply_to=ids.server_id(5, 5)), 400, "invalid")
    assert [schedule(ann, dm).status_code for _ in range(2)] == [201, 201]
    problem(schedule(ann, dm), 409, "conflict")
    assert schedule(bob, dm).status_code == 201


def test_none_in_an_encrypted_conversation(ann: Person, bob: Person) -> None:
    secret = ann.post("conversations", {"type": "dm", "members": [bob.ref], "encrypted": True}).json()["id"]
    problem(schedule(ann, secret), 409, "conflict")


# --- files --------------------------------------------------------------------------------------------


def test_files_stay_until_it_is_sent(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    mine, theirs = ready(ann.id), ready(bob.id)
    problem(schedule(ann, dm, media=[theirs]), 404, "not_found")
    ref = schedule(ann, dm, media=[mine]).json()["id"]
    # It is a file of a message by now, and not swept as unused.
    assert MediaUse.objects.filter(media_id=ids.parse_media(mine)).count() == 1
    problem(ann.delete(f"media/{mine}"), 404, "not_found")
    come(ref)
    assert tasks.send_scheduled() == 1
    route()
    assert bob.get(f"conversations/{dm}/messages").json()["results"][0]["media"] == [mine]
    assert MediaUse.objects.filter(media_id=ids.parse_media(mine)).count() == 1


@pytest.mark.django_db(transaction=True)
def test_files_go_with_what_is_not_sent(ann: Person, bob: Person) -> None:
    mine = ready(ann.id)
    ref = schedule(ann, ann.dm(bob), media=[mine]).json()["id"]
    assert ann.delete(f"scheduled/{ref}").status_code == 204
    assert not MediaObject.objects.filter(pk=ids.parse_media(mine)).exists()


def test_of_an_account_that_is_erased_nothing_is_left(ann: Person, bob: Person) -> None:
    schedule(ann, ann.dm(bob), media=[ready(ann.id)])
    scheduling.forget_scheduled(ann.id)
    assert not ScheduledMessage.objects.exists()
    assert not MediaUse.objects.exists()


def test_what_was_never_there_is_absent(ann: Person) -> None:
    with pytest.raises(NotFound):
        scheduling.withdraw(ann.id, ids.ScheduledId(5))
    problem(ann.get("scheduled/s_x"), 404, "not_found")
