"""The copy of one's own data has what one wrote and nothing of others, and nobody else gets it."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client as Browser
from django.utils import timezone
from prometheus_client import REGISTRY

from accounts.models import WRITE, Bot
from accounts.services.bots import end_bot, make_bot_token, make_hook
from accounts.services.devices import revoke_device
from messaging.archive import written as in_archives
from messaging.compliance.models import AuditEntry
from messaging.domain import ids
from messaging.hooks.endpoints import make as make_endpoint
from messaging.hooks.models import Endpoint
from messaging.rights import exports
from messaging.rights.models import DataExport, DataExportPart
from tests.api.conftest import Person, ann, bob, bot_of, cat, person, problem, route  # noqa: F401  # fixtures
from tests.conftest import PASSWORD
from tests.media.objects import Uploads, bytes_of, picture

pytestmark = pytest.mark.django_db
Route = Callable[[], None]
PROOF = {"password": PASSWORD}


def unzipped(answer: Any) -> dict[str, Any]:
    content = bytes_of(answer)
    assert len(content) == int(answer.headers["Content-Length"])
    files = zipfile.ZipFile(io.BytesIO(content))
    return {name: files.read(name).decode() for name in files.namelist()}


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_who_asks_proves_who_it_is(ann: Person) -> None:  # noqa: F811
    problem(ann.post("me/exports", {}), 400, "invalid")
    problem(ann.post("me/exports", {"password": "tulips"}), 400, "invalid")
    assert not DataExport.objects.exists()
    browser = Browser()
    browser.force_login(ann.user)
    asked = browser.post("/settings/export")
    assert asked.headers["Location"] == "/accounts/reauthenticate/?next=%2Fsettings%2Fexport"
    assert not DataExport.objects.exists()
    browser.post(asked.headers["Location"], {"password": PASSWORD, "next": "/settings/export"})
    assert DataExport.objects.count() == 1, "what was asked for is done then"


def test_it_has_what_one_wrote_and_nothing_of_others(ann: Person, bob: Person, route: Route) -> None:  # noqa: F811
    conv = ann.dm(bob)
    kept, gone = ann.say(conv, "mine <b>").json()["server_id"], ann.say(conv, "deleted").json()["server_id"]
    bob.say(conv, "of Bob")
    route()
    ann.patch(f"messages/{kept}", {"msg_id": "6c1f3b52-6a80-4d0c-9df3-0f5a3d9d1c11", "body": "mine <i>"})
    ann.delete(f"messages/{gone}")
    route()
    assert ann.put(f"conversations/{conv}/draft", {"body": "begun"}).status_code == 204
    at = timezone.now() + timedelta(days=9)
    later = {"conversation": conv, "msg_id": str(uuid4()), "body": "later", "send_at": in_archives(at)}
    assert ann.post("scheduled", later).status_code == 201
    asked = ann.post("me/exports", PROOF)
    assert (asked.status_code, asked.json()["state"]) == (201, "requested")
    exports.make(asked.json()["id"])
    [ready] = ann.get("me/exports").json()["results"]
    answer = ann.get(f"me/exports/{ready['id']}/file")
    files = unzipped(answer)
    written = rows(files["messages.jsonl"])
    assert [(it["id"], it["body"], it["deleted"]) for it in written] == [
        (kept, "mine <i>", False),
        (gone, "deleted", True),
    ]
    assert rows(files["profile.jsonl"])[0]["username"] == "ann"
    assert [(it["conversation"], it["body"]) for it in rows(files["drafts.jsonl"])] == [(conv, "begun")]
    assert [(it["body"], it["send_at"]) for it in rows(files["scheduled.jsonl"])] == [("later", in_archives(at))]
    assert rows(files["conversations.jsonl"])[0]["id"] == conv
    assert "mine &lt;i&gt;" in files["index.html"]
    assert not any("of Bob" in text for text in files.values())
    manifest = json.loads(files["manifest.json"])
    for file in manifest["files"]:
        assert file["sha256"] == hashlib.sha256(files[file["name"]].encode()).hexdigest()
    assert AuditEntry.objects.get().action == "data_export.requested"


def test_it_has_ones_bots_and_no_secrets(
    ann: Person,  # noqa: F811
    bob: Person,  # noqa: F811
    bot_of: Callable[..., Bot],  # noqa: F811
) -> None:
    bot, gone, his = bot_of(ann, description="reminds"), bot_of(ann, username="old"), bot_of(bob, username="his")
    ours = bot_of(username="ours")
    made = ann.post("conversations", {"type": "group", "members": [bob.ref, ids.user_ref(bot.pk)]}).json()
    group = ids.parse_conversation(str(made["id"]))
    _, token = make_bot_token(bot=bot, name="server", scopes=[WRITE], conversations=[group])
    _, hook = make_hook(bot=bot, name="builds", conversation=group)
    end, secret = make_endpoint(bot=bot, url="https://example.org/in", events=["mention"])
    revoked, _ = make_bot_token(bot=bot, name="revoked")
    revoke_device(user=bot.user, device_id=ids.DeviceId(revoked.pk))
    end_bot(bot=gone)
    asked = ann.post("me/exports", PROOF)
    exports.make(asked.json()["id"])
    files = unzipped(ann.get(f"me/exports/{asked.json()['id']}/file"))
    [it] = rows(files["bots.jsonl"])
    assert (it["id"], it["username"], it["description"]) == (ids.user_ref(bot.pk), "robbie", "reminds")
    where = [ids.conversation_ref(group)]
    assert [(one["name"], one["scopes"], one["conversations"]) for one in it["tokens"]] == [("server", [WRITE], where)]
    assert [(one["name"], one["conversations"]) for one in it["webhooks"]] == [("builds", where)]
    assert [(one["id"], one["url"], one["events"]) for one in it["endpoints"]] == [
        (ids.endpoint_ref(end.pk), "https://example.org/in", ["mention"])
    ]
    stored = Endpoint.objects.get().secret
    for text in files.values():
        assert not any(hidden in text for hidden in (token, hook, secret, stored))
        assert not any(name in text for name in (his.user.username + '"', ours.user.username + '"'))


def test_it_has_ones_own_picture(ann: Person) -> None:  # noqa: F811
    media = Uploads(ann).whole(None, picture())["id"]
    assert ann.put("me/picture", {"media": media}).status_code == 204
    ann.user.refresh_from_db()
    asked = ann.post("me/exports", PROOF).json()["id"]
    exports.make(asked)
    files = zipfile.ZipFile(io.BytesIO(bytes_of(ann.get(f"me/exports/{asked}/file"))))
    [profile] = rows(files.read("profile.jsonl").decode())
    assert files.read(profile["picture"])[8:12] == b"WEBP"
    assert "<li>picture.webp</li>" in files.read("index.html").decode()


def test_it_has_what_one_wrote_where_one_is_no_more(ann: Person, bob: Person, route: Route) -> None:  # noqa: F811
    group = bob.group(ann)
    ann.say(group, "before I left")
    route()
    ann.delete(f"conversations/{group}/members/{ann.ref}")
    route()
    # Twice: what was written in the first stay is from before the second.
    bob.post(f"conversations/{group}/members", {"members": [ann.ref]})
    route()
    ann.say(group, "before I left again")
    route()
    ann.delete(f"conversations/{group}/members/{ann.ref}")
    bob.say(group, "they are gone")
    route()
    asked = ann.post("me/exports", PROOF).json()["id"]
    exports.make(asked)
    files = unzipped(ann.get(f"me/exports/{asked}/file"))
    assert [it["body"] for it in rows(files["messages.jsonl"])] == ["before I left", "before I left again"]
    [row] = rows(files["conversations.jsonl"])
    assert (row["id"], row["left_at"] is None) == (group, False)


def test_nobody_else_gets_it_and_nobody_after_its_time(ann: Person, bob: Person) -> None:  # noqa: F811
    asked = ann.post("me/exports", PROOF).json()["id"]
    problem(ann.get(f"me/exports/{asked}/file"), 404, "not_found")
    exports.make(asked)
    problem(bob.get(f"me/exports/{asked}/file"), 404, "not_found")
    assert bob.get("me/exports").json()["results"] == []
    assert ann.get(f"me/exports/{asked}/file").status_code == 200
    DataExport.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    problem(ann.get(f"me/exports/{asked}/file"), 404, "not_found")
    assert exports.expire() == 1
    assert not DataExportPart.objects.exists()


def test_one_is_made_at_a_time_and_one_a_day(ann: Person) -> None:  # noqa: F811
    first = ann.post("me/exports", PROOF).json()["id"]
    problem(ann.post("me/exports", PROOF), 409, "conflict")
    exports.make(first)
    exports.make(first)
    assert DataExportPart.objects.count() == 1
    problem(ann.post("me/exports", PROOF), 429, "rate_limited")
    DataExport.objects.update(requested_at=timezone.now() - timedelta(days=2))
    assert ann.post("me/exports", PROOF).status_code == 201


def test_how_long_one_waits_is_measured(ann: Person) -> None:  # noqa: F811
    asked = ann.post("me/exports", PROOF).json()["id"]
    DataExport.objects.update(requested_at=timezone.now() - timedelta(hours=3))
    exports.measure()
    age = REGISTRY.get_sample_value("chat_exports_wait_age_seconds", {"kind": "own"})
    assert age is not None
    assert 3 * 3_600 <= age < 3 * 3_600 + 60
    exports.make(asked)
    exports.measure()
    assert REGISTRY.get_sample_value("chat_exports_wait_age_seconds", {"kind": "own"}) == 0


def test_what_a_worker_lost_is_made_after_all(ann: Person) -> None:  # noqa: F811
    asked = ann.post("me/exports", PROOF).json()["id"]
    assert exports.make_lost() == 0
    DataExport.objects.update(requested_at=timezone.now() - timedelta(hours=1))
    assert exports.make_lost() == 1
    assert DataExport.objects.get(pk=asked).state == "requested"
