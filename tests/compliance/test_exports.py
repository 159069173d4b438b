"""An export has all that the stores have of its selection, and is given to officers only, each time with a reason."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone
from PIL import Image
from prometheus_client import REGISTRY

from chatproject import container
from messaging.adapters.cassandra.conversations import CassandraConversationStore
from messaging.adapters.cassandra.messages import CassandraMessageStore
from messaging.compliance import discovery, exports, holds, roles
from messaging.compliance.exports import MAX_ATTEMPTS, NewExport
from messaging.compliance.holds import NewHold
from messaging.compliance.models import AuditEntry, Export
from messaging.domain.errors import InvalidInput
from messaging.domain.ids import UserId, parse_conversation, parse_server_id
from messaging.moderation.services import decisions
from messaging.ports import MediaMissing, StoreUnavailable
from tests.api.conftest import Person, ann, bob, cat, person, route  # noqa: F401  # fixtures
from tests.media.objects import Uploads, bytes_of, picture

pytestmark = pytest.mark.django_db
Route = Callable[[], None]
OFFICER = UserId(1)


def asked(*conversations: str, **fields: Any) -> Export:
    named = tuple(map(parse_conversation, conversations))
    return exports.request_export(actor=OFFICER, new=NewExport("2026-17", "the court", (), named, **fields))


def content(export: Export) -> bytes:
    _, pieces = exports.open_file(actor=OFFICER, export_id=export.pk, reason="to hand it over")
    return b"".join(pieces)


def made(export: Export) -> dict[str, bytes]:
    """Make an export, and return its files; what the manifest says of them is true."""
    exports.make(export.pk)
    export.refresh_from_db()
    assert export.state == Export.State.READY, export.error
    data = content(export)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (export.size, export.sha256)
    zipped = zipfile.ZipFile(io.BytesIO(data))
    files = {name: zipped.read(name) for name in zipped.namelist()}
    manifest = json.loads(files["manifest.json"])
    told = {file["name"]: file["sha256"] for file in manifest["files"]}
    assert told == {name: hashlib.sha256(it).hexdigest() for name, it in files.items() if name != "manifest.json"}
    return files


def rows(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def texts(files: dict[str, bytes], conversation: str) -> list[dict[str, Any]]:
    return [row for row in rows(files[f"{conversation}/messages.jsonl"]) if row["kind"] == "text"]


class TestContent:
    def test_what_was_edited_deleted_withheld_and_expired_is_there_and_marked(
        self,
        ann: Person,  # noqa: F811
        bob: Person,  # noqa: F811
        route: Route,  # noqa: F811
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        conv = ann.dm(bob)
        first, gone, rude, kept = (
            ann.say(conv, text).json()["server_id"] for text in ("first <script>", "gone", "rude", "kept")
        )
        route()
        for body in ("second", "third"):
            ann.patch(f"messages/{first}", {"msg_id": str(uuid4()), "body": body})
        ann.delete(f"messages/{gone}")
        bob.put(f"messages/{kept}/reactions/👍", {})
        with django_capture_on_commit_callbacks(execute=True):
            ref = parse_server_id(rude)
            decisions.take_down(*ref, moderator=bob.user, reason="an insult", told="Rule 3.")
        route()
        container.conversation_store().expire(parse_conversation(conv), parse_server_id(first)[1])
        files = made(asked(conv))
        found = {row["id"]: row for row in texts(files, conv)}
        assert {id_: row["hidden"] for id_, row in found.items()} == {
            first: ["expired"],
            gone: ["deleted"],
            rude: ["withheld"],
            kept: [],
        }
        assert [found[first]["body"], *(it["body"] for it in found[first]["changes"])] == [
            "first <script>",
            "second",
            "third",
        ]
        assert (found[gone]["body"], found[gone]["changes"][0]["by"]) == ("gone", ann.ref)
        assert [it["kind"] for it in found[rude]["changes"]] == ["takedown"]
        assert [(it["actor"], it["action"], it["reason"]) for it in found[rude]["acts"]] == [
            (bob.ref, "takedown.made", "an insult")
        ]
        assert [(it["by"], it["emoji"], it["on"]) for it in found[kept]["changes"]] == [(bob.ref, "👍", True)]
        page = files[f"{conv}/index.html"].decode()
        assert "first &lt;script&gt;" in page
        assert "<script" not in page
        assert json.loads(files["manifest.json"])["counts"]["messages"] == len(rows(files[f"{conv}/messages.jsonl"]))

    def test_who_was_there_and_could_see_what(
        self,
        ann: Person,  # noqa: F811
        bob: Person,  # noqa: F811
        cat: Person,  # noqa: F811
        route: Route,  # noqa: F811
    ) -> None:
        conv = ann.group(bob, cat)
        route()
        seen = ann.say(conv, "seen").json()["server_id"]
        route()
        assert bob.delete(f"conversations/{conv}/members/{bob.ref}").status_code in (200, 204)
        route()
        unseen = ann.say(conv, "unseen").json()["server_id"]
        route()
        # Named by a user who has left.
        new = NewExport("2026-17", "the court", users=(bob.id,))
        files = made(exports.request_export(actor=OFFICER, new=new))
        members = {row["user"]: row for row in rows(files[f"{conv}/members.jsonl"])}
        assert set(members) == {ann.ref, bob.ref, cat.ref}
        numbers = {row["id"]: int(row["number"]) for row in texts(files, conv)}
        left = int(members[bob.ref]["sees_upto"])
        assert int(members[bob.ref]["sees_after"]) < numbers[seen] <= left < numbers[unseen]
        assert members[ann.ref]["sees_upto"] is None
        page = files[f"{conv}/index.html"].decode()
        for one in (ann, bob, cat):
            assert f"<td>{one.ref}</td>" in page
        assert members[bob.ref]["left_at"] in page
        events = [row["event"] for row in rows(files[f"{conv}/events.jsonl"])]
        assert (events[0]["type"], events[-1]) == ("created", {"type": "member_left", "users": [bob.ref]})
        assert {row["username"] for row in rows(files["people.jsonl"])} == {"ann", "bob", "cat"}
        # Who left before the time is there as well.
        later = made(asked(conv, begins_at=timezone.now()))
        assert {row["user"] for row in rows(later[f"{conv}/members.jsonl"])} == set(members)

    def test_a_time_bounds_what_was_sent_and_others_are_left_out(
        self,
        ann: Person,  # noqa: F811
        bob: Person,  # noqa: F811
        cat: Person,  # noqa: F811
        route: Route,  # noqa: F811
    ) -> None:
        conv, other = ann.dm(bob), ann.dm(cat)
        said = ann.say(conv, "said").json()["server_id"]
        ann.say(other, "elsewhere")
        route()
        [row] = texts(made(asked(conv)), conv)
        at = timezone.datetime.fromisoformat(row["at"])
        second = timedelta(seconds=1)
        assert texts(made(asked(conv, begins_at=at + second)), conv) == []
        assert texts(made(asked(conv, ends_at=at - second)), conv) == []
        files = made(asked(conv, begins_at=at, ends_at=at))
        assert [row["id"] for row in texts(files, conv)] == [said]
        assert not any(b"elsewhere" in data for data in files.values())

    def test_files_with_their_hashes(self, ann: Person, bob: Person, route: Route) -> None:  # noqa: F811
        conv = ann.dm(bob)
        ref = Uploads(ann).whole(conv, b"minutes of a meeting", "../../minutes.html")["id"]
        ann.say(conv, "here", media=[ref])
        route()
        files = made(asked(conv))
        [line] = rows(files["media.jsonl"])
        assert line["file"] == f"media/{ref}.bin"
        assert files[line["file"]] == b"minutes of a meeting"
        assert f'href="../{line["file"]}"' in files[f"{conv}/index.html"].decode()
        assert line["sha256"] == line["sha256_stored"] == hashlib.sha256(b"minutes of a meeting").hexdigest()

    def test_the_pictures_of_who_was_asked_for(
        self,
        ann: Person,  # noqa: F811
        bob: Person,  # noqa: F811
        route: Route,  # noqa: F811
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        ann.dm(bob)
        route()
        holds.place_hold(actor=OFFICER, new=NewHold("2026-17", "a letter", user=ann.id))

        def show(person: Person, colour: str) -> str:  # noqa: F811
            with django_capture_on_commit_callbacks(execute=True):
                media: str = Uploads(person).whole(None, picture(colour=colour), "me.png")["id"]
                assert person.put("me/picture", {"media": media}).status_code == 204
            return media

        former, shown = show(ann, "red"), show(ann, "blue")
        show(bob, "green")
        export = exports.request_export(actor=OFFICER, new=NewExport("2026-17", "the court", users=(ann.id,)))
        show(ann, "white")
        files = made(export)
        pictures = {row["username"]: row["pictures"] for row in rows(files["people.jsonl"])}
        # Not of others, and none from after it was asked for.
        assert pictures == {"ann": [former, shown], "bob": []}
        told = {row["id"]: row["file"] for row in rows(files["media.jsonl"])}
        assert set(told) == {former, shown}
        assert all(Image.open(io.BytesIO(files[name])).size == (600, 600) for name in told.values())

    def test_on_cassandra(
        self, request: pytest.FixtureRequest, cassandra: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(container, "message_store", lambda: CassandraMessageStore(cassandra))
        conversations = CassandraConversationStore(cassandra, max_inline=100)
        monkeypatch.setattr(container, "conversation_store", lambda: conversations)
        people = [request.getfixturevalue(name) for name in ("ann", "bob", "cat", "route")]
        self.test_who_was_there_and_could_see_what(*people)
        self.test_more_than_a_page(people[0], people[1], people[3], monkeypatch)

    def test_more_than_a_page(
        self,
        ann: Person,  # noqa: F811
        bob: Person,  # noqa: F811
        route: Route,  # noqa: F811
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(discovery, "_PAGE", 2)
        conv = ann.dm(bob)
        said = [ann.say(conv, f"text {n}").json()["server_id"] for n in range(5)]
        route()
        for id_ in said:
            ann.patch(f"messages/{id_}", {"msg_id": str(uuid4()), "body": f"edit of {id_}"})
        route()
        found = texts(made(asked(conv)), conv)
        assert [(row["id"], row["changes"][0]["body"]) for row in found] == [(id_, f"edit of {id_}") for id_ in said]


@pytest.fixture
def said(ann: Person, bob: Person, route: Route) -> str:  # noqa: F811
    """Return a conversation in which something was said."""
    conv = ann.dm(bob)
    ann.say(conv, "hello")
    route()
    return conv


class TestJob:
    def test_a_repeated_job_changes_nothing_and_one_begun_anew_makes_the_same(
        self,
        ann: Person,  # noqa: F811
        route: Route,  # noqa: F811
        said: str,
    ) -> None:
        export = asked(said)
        first = made(export)
        exports.make(export.pk)
        assert made(export) == first
        ann.say(said, "later")
        route()
        digest = export.sha256
        # As if the worker had died before it said that it was done.
        Export.objects.filter(pk=export.pk).update(state="making", claimed_until=None, sha256="")
        made(export)
        assert export.sha256 == digest
        assert AuditEntry.objects.filter(action="export.made").count() == 2

    def test_a_store_that_is_away_is_asked_again_and_what_cannot_be_made_is_said(
        self, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        export = asked(said)

        def away(*args: Any) -> None:
            raise StoreUnavailable("the text of somebody")

        with monkeypatch.context() as patched:
            patched.setattr(exports, "_store", away)
            for attempt in range(1, MAX_ATTEMPTS + 1):
                exports.make(export.pk)
                export.refresh_from_db()
                last = attempt == MAX_ATTEMPTS
                assert (export.state, export.attempts) == ("failed" if last else "making", attempt)
            assert "incident" in export.error
            assert "somebody" not in export.error
        caplog.clear()
        again = asked(said)
        Export.objects.filter(pk=again.pk).update(state="making", claim="dead", error="It failed")
        made(again)
        assert again.error == ""

    def test_one_that_is_being_made_is_left_alone_until_its_worker_is_dead(self, said: str) -> None:
        export = asked(said)
        soon = timezone.now() + timedelta(minutes=1)
        Export.objects.filter(pk=export.pk).update(state="making", claim="other", claimed_until=soon)
        exports.make(export.pk)
        export.refresh_from_db()
        assert (export.state, export.claim) == ("making", "other")
        Export.objects.filter(pk=export.pk).update(claimed_until=timezone.now())
        made(export)

    def test_one_that_is_cancelled_while_it_is_made_leaves_no_file(
        self, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        export, keys = asked(said), []
        put_part = type(container.media_store()).put_part

        def cancelling(store: Any, key: str, *args: Any) -> None:
            put_part(store, key, *args)
            keys.append(key)
            exports.end(actor=OFFICER, export_id=export.pk, reason="not needed")

        monkeypatch.setattr(type(container.media_store()), "put_part", cancelling)
        exports.make(export.pk)
        export.refresh_from_db()
        assert export.state == Export.State.CANCELLED
        with pytest.raises(MediaMissing):
            container.media_store().size(keys[0])
        assert "export.cancelled" in AuditEntry.objects.values_list("action", flat=True)

    def test_it_is_gone_when_its_time_is_over(self, said: str) -> None:
        export = asked(said)
        made(export)
        exports.look_after()
        assert content(export)
        key = Export.objects.get().content_key
        Export.objects.update(expires_at=timezone.now())
        exports.look_after()
        export.refresh_from_db()
        assert (export.state, export.content_key) == (Export.State.DELETED, "")
        with pytest.raises(MediaMissing):
            container.media_store().size(key)
        last = AuditEntry.objects.latest("seq")
        assert (last.action, last.actor) == ("export.deleted", "system")

    def test_how_long_one_waits_and_what_failed_is_measured(self, said: str) -> None:
        def number(name: str, **labels: str) -> float:
            return REGISTRY.get_sample_value(name, labels) or 0.0

        made_before = number("chat_exports_total", result="made")
        failed_before = number("chat_exports_total", result="failed")
        export, lost = asked(said), asked(said)
        ago = timezone.now() - timedelta(hours=7)
        Export.objects.filter(pk=export.pk).update(requested_at=ago)
        exports.measure()
        assert 7 * 3_600 <= number("chat_exports_wait_age_seconds", kind="case") < 7 * 3_600 + 60
        made(export)
        Export.objects.filter(pk=lost.pk).update(state="making", attempts=MAX_ATTEMPTS)
        exports.look_after()
        exports.measure()
        assert number("chat_exports_wait_age_seconds", kind="case") == 0
        assert number("chat_exports_total", result="made") == made_before + 1
        assert number("chat_exports_total", result="failed") == failed_before + 1

    @pytest.mark.parametrize(
        "new",
        [
            NewExport("", "why", users=(UserId(3),)),
            NewExport("17", " ", users=(UserId(3),)),
            NewExport("17", "why"),
            NewExport("17", "why", (UserId(3),), (), timezone.now(), timezone.now() - timedelta(days=1)),
        ],
    )
    def test_one_that_makes_no_sense_is_refused(self, new: NewExport) -> None:
        with pytest.raises(InvalidInput):
            exports.request_export(actor=OFFICER, new=new)
        assert not Export.objects.exists()


class TestPages:
    BASE = "/admin/compliance/export"

    def client(self, make_user: Callable[..., Any], role: str | None) -> Client:
        user = make_user(is_staff=role is not None)
        if role is not None:
            user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        return client

    def test_an_officer_makes_and_downloads_one_with_a_reason_each(
        self, make_user: Callable[..., Any], said: str
    ) -> None:
        officer = self.client(make_user, roles.OFFICER)
        form = {"case": "2026-17", "users": "ann\nbob", "conversations": "", "reason": "the court"}
        times = {f"{end}_at_{part}": "" for end in ("begins", "ends") for part in "01"}
        for wrong in ({"reason": ""}, {"users": "nobody"}, {"users": ""}, {"conversations": "c_x"}):
            assert officer.post(f"{self.BASE}/add/", {**form, **times, **wrong}).status_code == 200
        assert officer.post(f"{self.BASE}/add/", {**form, **times}).status_code == 302
        export = Export.objects.get()
        page = f"{self.BASE}/{export.pk}"
        assert b"Cancel" in officer.get(f"{page}/change/").content
        assert officer.post(f"{page}/download/", {"reason": "too early"}).status_code == 302
        exports.make(export.pk)
        assert officer.post(f"{page}/download/", {"reason": " "}).status_code == 200
        answer = officer.post(f"{page}/download/", {"reason": "for counsel"})
        export.refresh_from_db()
        assert hashlib.sha256(bytes_of(answer)).hexdigest() == export.sha256
        assert officer.post(f"{page}/end/", {"reason": "handed over"}).status_code == 302
        entries = AuditEntry.objects.filter(object=f"export/{export.pk}").order_by("seq")
        assert [(it.action, it.reason, it.case) for it in entries] == [
            ("export.requested", "the court", "2026-17"),
            ("export.made", "", "2026-17"),
            ("export.downloaded", "for counsel", "2026-17"),
            ("export.deleted", "handed over", "2026-17"),
        ]

    @pytest.mark.parametrize("role", [roles.MODERATOR, roles.AUDITOR, roles.OPERATOR, None])
    def test_nobody_else_gets_or_ends_one(self, make_user: Callable[..., Any], said: str, role: str | None) -> None:
        export = asked(said)
        exports.make(export.pk)
        other = self.client(make_user, role)
        refused = 302 if role is None else 403
        for act in ("download", "end"):
            assert other.post(f"{self.BASE}/{export.pk}/{act}/", {"reason": "curious"}).status_code == refused
        assert other.post(f"{self.BASE}/add/", {"case": "1"}).status_code == refused
        sees = other.get(f"{self.BASE}/{export.pk}/change/").status_code
        assert sees == (200 if role == roles.AUDITOR else refused)
        assert {it.action for it in AuditEntry.objects.all()} == {"export.requested", "export.made"}
