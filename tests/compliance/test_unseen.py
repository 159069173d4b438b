"""Members cannot tell what is held from what is not: every answer about the one is that about the other."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from chatproject import container
from messaging.compliance import holds, retention
from messaging.compliance.holds import NewHold
from messaging.compliance.models import RetentionPolicy
from messaging.domain.ids import MessageId, UserId, parse_conversation, parse_server_id
from messaging.rights import exports
from tests.api.conftest import Person, ann, bob, cat, person, route  # noqa: F401  # fixtures
from tests.conftest import PASSWORD
from tests.media.objects import Uploads, bytes_of

pytestmark = pytest.mark.django_db
OFFICER = UserId(1)


class Twins:
    """Two groups in which the same was said; one of them is held."""

    def __init__(self, ann: Person, bob: Person, route: Callable[[], None]) -> None:  # noqa: F811
        self.ann, self.bob, self.route = ann, bob, route
        self.groups = [ann.group(bob, name="Group") for _ in range(2)]
        route()
        self.said: list[dict[str, str]] = []
        self.media = [str(Uploads(ann).whole(group, b"minutes", "minutes.txt")["id"]) for group in self.groups]
        for group, ref in zip(self.groups, self.media, strict=True):
            texts = {text: ann.say(group, text).json()["server_id"] for text in ("one", "two", "three")}
            texts["file"] = ann.say(group, "file", media=[ref]).json()["server_id"]
            self.said.append(texts)
            route()
        held = parse_conversation(self.groups[0])
        holds.place_hold(actor=OFFICER, new=NewHold("2026-17", "the court", conversation=held))

    def both(self, ask: Callable[[str, dict[str, str], str], Any]) -> None:
        """Hold the answers about both to be the same, but for ids and times."""
        answers = [ask(*args) for args in zip(self.groups, self.said, self.media, strict=True)]
        self.route()
        plain = [(it.status_code, self._plain(it.content.decode()), sorted(it.headers)) for it in answers]
        assert plain[0] == plain[1], apart(str(plain[0]), str(plain[1]))

    def _plain(self, text: str) -> str:
        text = re.sub(r'"([a-z]{1,2}_[A-Za-z0-9_,-]+|[0-9a-f-]{36})"', '"id"', text)
        text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z?", "time", text)
        return re.sub(r"\d{10,}", "number", text)

    def stored(self) -> list[int]:
        found = container.message_store()
        numbers = map(parse_conversation, self.groups)
        return [
            sum(it.kind == "text" for it in found.oldest_after(number, after=MessageId(0), limit=100))
            for number in numbers
        ]


def apart(one: str, other: str) -> str:
    """Return where two texts begin to differ."""
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return f"…{one[max(0, at - 80) : at + 60]}… and …{other[max(0, at - 80) : at + 60]}…"


@pytest.fixture
def twins(
    store: str,
    ann: Person,  # noqa: F811
    bob: Person,  # noqa: F811
    route: Callable[[], None],  # noqa: F811
) -> Twins:
    return Twins(ann, bob, route)


def asked(twins: Twins) -> None:
    """Ask all that one may ask about a conversation and what is in it."""
    ann, both = twins.ann, twins.both  # noqa: F811
    for reader in (ann, twins.bob):
        both(lambda group, said, ref, it=reader: it.get(f"conversations/{group}"))  # type: ignore[misc]
        both(lambda group, said, ref, it=reader: it.get(f"conversations/{group}/messages"))  # type: ignore[misc]
        both(lambda group, said, ref, it=reader: it.get(f"conversations/{group}/members"))  # type: ignore[misc]
        both(lambda group, said, ref, it=reader: it.get(f"conversations/{group}/pins"))  # type: ignore[misc]
        for text in ("one", "two", "file"):
            both(lambda group, said, ref, it=reader, t=text: it.get(f"messages/{said[t]}"))  # type: ignore[misc]
        both(lambda group, said, ref, it=reader: it.get(f"media/{ref}", message=said["file"]))  # type: ignore[misc]
        both(lambda group, said, ref, it=reader: it.get(f"media/{ref}"))  # type: ignore[misc]
    # Unread counts, the last message, marks: a line of the list.
    for reader in (ann, twins.bob):
        rows = {row["id"]: row for row in reader.get("conversations").json()["results"]}
        lines = [twins._plain(json.dumps(rows[group])) for group in twins.groups]
        assert lines[0] == lines[1]


def test_what_members_change_and_delete_answers_alike(twins: Twins) -> None:
    ann, both = twins.ann, twins.both  # noqa: F811
    asked(twins)
    change = lambda: {"msg_id": str(uuid4()), "body": "better"}  # noqa: E731
    both(lambda group, said, ref: ann.patch(f"messages/{said['one']}", change()))
    both(lambda group, said, ref: ann.delete(f"messages/{said['two']}"))
    both(lambda group, said, ref: twins.bob.delete(f"messages/{said['three']}"))
    both(lambda group, said, ref: ann.put(f"conversations/{group}/timer", {"timer_s": 86_400}))
    both(lambda group, said, ref: ann.put(f"messages/{said['one']}/pin", {}))
    both(lambda group, said, ref: ann.put(f"messages/{said['one']}/reactions/👍", {}))
    asked(twins)


def test_what_is_over_its_time_is_gone_for_members_and_its_files_with_it(
    twins: Twins, django_capture_on_commit_callbacks: Any
) -> None:
    ann, both = twins.ann, twins.both  # noqa: F811
    ann.delete(f"messages/{twins.said[0]['two']}")
    ann.delete(f"messages/{twins.said[1]['two']}")
    twins.route()
    RetentionPolicy.objects.create(max_days=30, note="a rule")
    later = timezone.now() + timedelta(days=40)
    for group in twins.groups:
        conversation = container.conversation_store().get([parse_conversation(group)])[parse_conversation(group)]
        with django_capture_on_commit_callbacks(execute=True):
            retention.expire(conversation, retention.Rules().of(conversation), now=later)
    twins.route()
    assert twins.stored() == [4, 0], "one of them is held"
    asked(twins)
    for act in ("patch", "delete", "appeal", "report"):
        for text in ("one", "two", "file"):
            both(lambda group, said, ref, a=act, t=text: do(ann, twins.bob, a, said[t]))  # type: ignore[misc]
    both(lambda group, said, ref: ann.put(f"conversations/{group}/read", {"server_id": said["one"]}))
    both(lambda group, said, ref: ann.say(group, "an answer", reply_to=said["one"]))
    both(lambda group, said, ref: ann.say(group, "passed on", forwarded_from=said["file"], media=[ref]))
    both(lambda group, said, ref: ann.say(group, "the file once more", media=[ref]))
    asked(twins)
    # One's own copy has no more of the one than of the other.
    made = ann.post("me/exports", {"password": PASSWORD}).json()["id"]
    exports.make(made)
    data = bytes_of(ann.get(f"me/exports/{made}/file"))
    rows = zipfile.ZipFile(io.BytesIO(data)).read("messages.jsonl").decode().splitlines()
    bodies: dict[str, list[str]] = {group: [] for group in twins.groups}
    for row in map(json.loads, rows):
        bodies[row["conversation"]].append(row["body"])
    assert bodies[twins.groups[0]] == bodies[twins.groups[1]]
    assert "one" not in bodies[twins.groups[0]]


def do(ann: Person, bob: Person, act: str, message: str) -> Any:  # noqa: F811
    match act:
        case "patch":
            return ann.patch(f"messages/{message}", {"msg_id": str(uuid4()), "body": "later"})
        case "delete":
            return ann.delete(f"messages/{message}")
        case "appeal":
            return ann.post(f"messages/{message}/appeal", {"text": "why"})
    return bob.post("reports", {"category": "spam", "message": message})


def test_who_is_held_asks_for_erasure_like_anybody(ann: Person, bob: Person, settings: Any) -> None:  # noqa: F811
    holds.place_hold(actor=OFFICER, new=NewHold("2026-17", "the court", user=ann.id))
    answers = []
    for one in (ann, bob):
        answer = one.post("me/erasure", {"password": "correct-horse-7"})
        body = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "time", answer.content.decode())
        answers.append((answer.status_code, body))
    assert answers[0] == answers[1]
    assert answers[0][0] < 300


def test_the_search_finds_neither(twins: Twins) -> None:
    expired = parse_server_id(twins.said[0]["file"])[1]
    for group, said in zip(twins.groups, twins.said, strict=True):
        container.conversation_store().expire(parse_conversation(group), parse_server_id(said["file"])[1])
    assert expired
    for group in twins.groups:
        answer = twins.bob.get("search", q="two", conversation=group)
        assert answer.status_code == 200
        assert answer.json()["results"] == []
