"""What happens to a message reaches the index, in whatever order and however often it is told."""

from collections.abc import Callable
from io import StringIO
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from chatproject import container
from messaging.compliance import holds, retention
from messaging.compliance.holds import NewHold
from messaging.compliance.models import RetentionPolicy
from messaging.domain import ids
from messaging.domain.ids import MessageId, UserId
from messaging.domain.search import Query, Scope, read_query
from messaging.moderation.services import decisions
from messaging.ports import TOPIC_SEARCH, MessageRef, Record, SearchEntry
from messaging.search import indexing
from messaging.search.tasks import index_messages
from tests.api.conftest import Person
from tests.compliance.test_retention import say as say_aged
from tests.search.conftest import found

pytestmark = pytest.mark.django_db
Settle = Callable[[], list[Record]]


def held(*conversations: str, text: str = "") -> list[MessageRef]:
    """Return what the index has, whoever may see it."""
    scopes = [Scope(ids.parse_conversation(it), MessageId(0)) for it in conversations]
    return container.search_index().find(scopes, Query(terms=read_query(text).terms), limit=100)


@pytest.fixture
def conv(ann: Person, bob: Person) -> str:
    return ann.dm(bob)


def test_edits_and_deletions_reach_the_index(ann: Person, conv: str, settle: Settle) -> None:
    message = ann.say(conv, "a heron").json()["server_id"]
    settle()
    assert found(ann, "heron") == ["a [heron]"]
    ann.patch(f"messages/{message}", {"msg_id": str(uuid4()), "body": "a crane"})
    settle()
    assert held(conv, text="heron") == []
    assert found(ann, "crane") == ["a [crane]"]
    ann.delete(f"messages/{message}")
    settle()
    assert held(conv) == []


def test_what_was_read_twice_is_there_once(ann: Person, conv: str, settle: Settle) -> None:
    ann.say(conv, "a heron")
    records = settle()
    for _ in range(2):
        index_messages(msgspec.to_builtins(records))
    assert found(ann, "heron") == ["a [heron]"]


def test_an_old_record_does_not_undo_what_came_after(ann: Person, conv: str, settle: Settle) -> None:
    message = ann.say(conv, "a heron").json()["server_id"]
    first = settle()
    ann.delete(f"messages/{message}")
    settle()
    index_messages(msgspec.to_builtins(first))
    assert held(conv) == []


def test_two_workers_at_one_message_end_with_what_the_store_has(
    ann: Person, conv: str, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has read the message and not written yet when it is deleted, and another worker is done with that."""
    message = ann.say(conv, "a heron").json()["server_id"]
    records = settle()
    index, put = container.search_index(), container.search_index().put

    def late(entries: list[SearchEntry]) -> None:
        monkeypatch.setattr(index, "put", put)
        ann.delete(f"messages/{message}")
        settle()
        put(entries)

    monkeypatch.setattr(index, "put", late)
    index_messages(msgspec.to_builtins(records))
    assert held(conv) == []


def test_reactions_and_events_are_no_words(ann: Person, bob: Person, settle: Settle) -> None:
    conv = ann.group(bob, name="Heron watchers")
    message = ann.say(conv, "hello").json()["server_id"]
    ann.put(f"messages/{message}/reactions/👍", None)
    settle()
    assert held(conv) == [ids.parse_server_id(message)]
    assert found(ann, "heron") == []


def test_a_takedown_takes_it_out_and_its_end_puts_it_back(
    ann: Person, bob: Person, conv: str, settle: Settle, make_user: Callable[..., User], at_once: Any
) -> None:
    message = bob.say(conv, "You are a heron").json()["server_id"]
    settle()
    meg = make_user("meg", is_staff=True)
    with at_once(execute=True):
        takedown = decisions.take_down(*ids.parse_server_id(message), moderator=meg, reason="rule 3", told="Insults")
    settle()
    assert held(conv) == []
    assert found(ann, "heron") == found(bob, "heron") == []
    with at_once(execute=True):
        decisions.lift(takedown, moderator=meg, reason="a bird lover")
    settle()
    assert found(ann, "heron") == ["You are a [heron]"]


@pytest.fixture
def at_once(django_capture_on_commit_callbacks: Any) -> Any:
    return django_capture_on_commit_callbacks


# --- retention -------------------------------------------------------------------------------------


def aged(conv: str, *days: float) -> None:
    """Put messages of an age into store and index."""
    conversation_id = ids.parse_conversation(conv)
    made = say_aged(container.conversation_store().get([conversation_id])[conversation_id], *days)
    indexing.index([(it.conversation_id, it.message_id) for it in made])


def expire(conv: str) -> None:
    conversation_id = ids.parse_conversation(conv)
    conversation = container.conversation_store().get([conversation_id])[conversation_id]
    retention.expire(conversation, retention.Rules().of(conversation), now=retention.timezone.now())


def test_a_sweep_deletes_from_the_index(ann: Person, conv: str) -> None:
    RetentionPolicy.objects.create(max_days=30, note="a rule")
    aged(conv, 40, 31, 1)
    assert len(held(conv)) == 3
    expire(conv)
    assert found(ann, "said") == ["[said] 1"]
    assert len(held(conv)) == 1


def test_what_is_held_stays_in_the_store_and_goes_from_the_index(ann: Person, bob: Person, conv: str) -> None:
    RetentionPolicy.objects.create(max_days=30, note="a rule")
    aged(conv, 40, 1)
    conversation_id = ids.parse_conversation(conv)
    holds.place_hold(actor=UserId(1), new=NewHold(case="A-1", reason="a case", conversation=conversation_id))
    expire(conv)
    kept = container.message_store().newest(conversation_id, limit=10)
    assert [it.body for it in kept] == ["said 1", "said 40"]
    assert len(held(conv)) == 1
    indexing.index([(conversation_id, it.message_id) for it in kept])
    assert len(held(conv)) == 1, "nor does it come back"
    assert found(ann, "said") == ["[said] 1"]


def test_a_worker_that_writes_during_a_sweep_puts_nothing_back(conv: str, monkeypatch: pytest.MonkeyPatch) -> None:
    RetentionPolicy.objects.create(max_days=30, note="a rule")
    conversation_id = ids.parse_conversation(conv)
    made = say_aged(container.conversation_store().get([conversation_id])[conversation_id], 40)
    index, put = container.search_index(), container.search_index().put

    def late(entries: list[SearchEntry]) -> None:
        monkeypatch.setattr(index, "put", put)
        expire(conv)
        put(entries)

    monkeypatch.setattr(index, "put", late)
    indexing.index([(conversation_id, made[0].message_id)])
    assert held(conv) == []


# --- all over again --------------------------------------------------------------------------------


def test_an_index_that_was_lost_is_made_anew(ann: Person, bob: Person, cat: Person, conv: str, settle: Settle) -> None:
    ann.say(conv, "a heron")
    other = ann.group(bob, cat)
    gone = cat.say(other, "another heron").json()["server_id"]
    sealed = ann.post("conversations", {"type": "group", "members": [bob.ref], "encrypted": True, "name": "x"}).json()
    ann.say(sealed["id"], "a sealed heron")
    settle()
    for it in (conv, other):
        container.search_index().forget(ids.parse_conversation(it))
    # What the stores know nothing of.
    stray = SearchEntry(ids.parse_conversation(conv), MessageId(7), ann.id, ("stray",))
    container.search_index().put([stray])
    cat.delete(f"messages/{gone}")
    settle()
    out = StringIO()
    call_command("rebuild_search", stdout=out)
    assert "of 3 conversations" in out.getvalue()
    assert found(ann, "heron") == ["a [heron]"]
    assert len(held(conv, other, sealed["id"])) == 1
    container.search_index().forget(ids.parse_conversation(conv))
    call_command("rebuild_search", f"--conversation={conv}", stdout=out)
    assert found(ann, "heron") == ["a [heron]"]


@pytest.mark.parametrize("ref", ["c_nonsense", ids.conversation_ref(77)])
def test_a_rebuild_of_nothing_says_so(ref: str) -> None:
    with pytest.raises(CommandError):
        call_command("rebuild_search", f"--conversation={ref}")


# --- records ---------------------------------------------------------------------------------------


@pytest.mark.logs_errors
def test_a_record_that_nobody_can_read_stops_no_other(ann: Person, conv: str, settle: Settle) -> None:
    ann.say(conv, "a heron")
    good = settle()
    container.search_index().forget(ids.parse_conversation(conv))
    bad = Record(TOPIC_SEARCH, 0, 99, good[0].ts_ms, b"", msgspec.msgpack.encode(["nonsense"]))
    index_messages(msgspec.to_builtins([bad, *good]))
    assert found(ann, "heron") == ["a [heron]"]


def test_the_router_has_one_record_for_a_poll(ann: Person, conv: str, settle: Settle) -> None:
    for number in range(5):
        ann.say(conv, f"heron {number}")
    records = settle()
    assert len(records) == 1
    assert len(found(ann, "heron")) == 5
