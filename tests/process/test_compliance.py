"""What the law wants, on the real servers: Kafka, Cassandra, Redis and PostgreSQL, through the pages of the staff."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import psycopg
import pytest

from messaging.compliance import signing
from tests.process.full_stack import FullStack, engines
from tests.process.stacks import wait_for
from tests.rest import Account

pytestmark = [pytest.mark.process, pytest.mark.slow]

PASSWORD: Final = "correct-horse-7"
KEY: Final = signing.new_private_key()

_STAFF: Final = """
from accounts.models import User
from django.contrib.auth.models import Group
for name, role in {people!r}.items():
    user = User.objects.create_user(name, password={password!r}, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
"""

#: What the clock makes workers do over days, at once: a sweep as of ``days`` from now.
_SWEEP: Final = """
import time
from datetime import timedelta
from django.utils import timezone
from messaging.compliance import retention
from messaging.compliance.models import Sweep
sweep = retention.begin()
Sweep.objects.filter(pk=sweep.pk).update(started_at=timezone.now() + timedelta(days={days}))
assert retention.go_on(sweep, until=time.monotonic() + 50)
"""

_ERASE: Final = """
import time
from django.utils import timezone
from messaging.rights import erasures
from messaging.rights.models import Erasure
for _ in range(4):
    Erasure.objects.update(next_at=timezone.now())
    erasures.go_on(until=time.monotonic() + 40)
print(Erasure.objects.get().state)
"""

#: What the store has of a conversation: first texts and the texts of edits, whoever may see them.
_STORED: Final = """
import json
from chatproject import container
from messaging.domain.ids import MessageId, parse_conversation
conversation = parse_conversation({conversation!r})
store = container.message_store()
rows = store.oldest_after(conversation, after=MessageId(0), limit=100)
texts = [it.body for it in rows if it.kind == "text"]
texts += [it.body for it in store.newest_changes(conversation, limit=100) if it.kind.value == "edit"]
print(json.dumps([it for it in texts if it]))
"""


_CLIENTS: list[httpx.Client] = []


@pytest.fixture(autouse=True)
def clients() -> Iterator[None]:
    """Close what was opened."""
    yield
    while _CLIENTS:
        _CLIENTS.pop().close()


def client(base: str, **more: Any) -> httpx.Client:
    _CLIENTS.append(httpx.Client(base_url=base, trust_env=False, timeout=60, **more))
    return _CLIENTS[-1]


class Staff:
    """One of the staff in a browser without a window."""

    def __init__(self, gateway: str, username: str) -> None:
        self.http = client(f"http://{gateway}", follow_redirects=True)
        self.get("/accounts/login/")
        answer = self.post("/accounts/login/", {"login": username, "password": PASSWORD, "next": "/admin/"})
        assert "Chat, for its staff" in answer.text

    def post(self, page: str, form: dict[str, Any]) -> httpx.Response:
        """Fill in a form and send it; the answer is the page to which that led."""
        data = {**form, "csrfmiddlewaretoken": self.http.cookies["csrftoken"]}
        answer = self.http.post(page, data=data, headers={"Referer": str(self.http.base_url)})
        assert answer.status_code == 200, (page, answer.status_code)
        return answer

    def get(self, page: str) -> str:
        answer = self.http.get(page)
        assert answer.status_code == 200, (page, answer.status_code)
        return answer.text

    def find(self, page: str, what: str) -> str:
        """Return the number of the first ``what`` in a list."""
        found = re.search(rf"/admin/{what}/(\d+)/change/", self.get(page))
        assert found is not None, (page, what)
        return found[1]


class Member:
    """Somebody who chats over REST."""

    def __init__(self, gateway: str, account: Account) -> None:
        self.id = account.user
        headers = {"Authorization": f"Bearer {account.token}"}
        self.http = client(f"http://{gateway}/v1/", headers=headers)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def say(self, conv: str, body: str) -> str:
        message = {"msg_id": str(uuid4()), "body": body}
        return str(self.call("POST", f"conversations/{conv}/messages", message)["server_id"])

    def texts(self, conv: str) -> list[str]:
        results = self.call("GET", f"conversations/{conv}/messages")["results"]
        return [it["body"] for it in reversed(results) if it["kind"] == "text"]

    def until(self, conv: str, *texts: str) -> None:
        """Return once this is what a conversation has."""
        wait_for(lambda: self.texts(conv) == list(texts))


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullStack]:
    directory = tmp_path_factory.mktemp("compliance") / "data"
    variables = {"CHAT_ADMIN_REQUIRE_2FA": "0", "CHAT_AUDIT_KEY": KEY, "CHAT_LOGIN_RATE": "1000/hour"}
    with FullStack(directory, engines(request), **variables) as started:
        yield started


def shell(stack: FullStack, code: str) -> str:
    return stack.manage("shell", "--no-imports", "--command", code)


def stored(stack: FullStack, conversation: str) -> list[str]:
    found: list[str] = json.loads(shell(stack, _STORED.format(conversation=conversation)))
    return sorted(found)


_TIMES: Final = {f"{end}_at_{part}": "" for end in ("begins", "ends") for part in "01"}
EVERYTHING: Final = sorted(["kept", "first words", "taken back", "rude", "second words"])


def test_from_a_message_to_a_court_and_to_nothing(stack: FullStack, tmp_path: Path) -> None:
    people = stack.people({"ann": 1, "bob": 1})
    ann, bob = Member(stack.gateways[0], people["ann"][0]), Member(stack.gateways[1], people["bob"][0])
    roles = {"olga": "compliance officer", "otto": "compliance officer", "mona": "moderator"}
    shell(stack, _STAFF.format(people=roles, password=PASSWORD))
    olga, otto = Staff(stack.gateways[0], "olga"), Staff(stack.gateways[1], "otto")
    mona = Staff(stack.gateways[0], "mona")

    # Two groups with the same in them: one will be held.
    group = {"type": "group", "members": [bob.id]}
    held, free = (ann.call("POST", "conversations", {**group, "name": name})["id"] for name in ("held", "free"))
    said = {}
    for conv in (held, free):
        said[conv] = {text: ann.say(conv, text) for text in ("kept", "first words", "taken back", "rude")}
        bob.until(conv, "kept", "first words", "taken back", "rude")
        ann.call("PATCH", f"messages/{said[conv]['first words']}", {"msg_id": str(uuid4()), "body": "second words"})
        ann.call("DELETE", f"messages/{said[conv]['taken back']}")
        bob.until(conv, "kept", "second words", "", "rude")

    # A report, and a takedown that reaches both gateways.
    bob.call("POST", "reports", {"category": "harassment", "message": said[held]["rude"]})
    page = f"/admin/moderation/case/{mona.find('/admin/moderation/case/', 'moderation/case')}"
    assert "rude" in mona.post(f"{page}/claim/", {"reason": "to judge it"}).text
    decision = {"outcome": "withheld", "reason": "rule 3", "told": "Insults are against rule 3.", "days": "7"}
    assert "is decided" in mona.post(f"{page}/decide/", decision).text
    for reader in (ann, bob):
        reader.until(held, "kept", "second words", "", "")
    assert bob.call("GET", "me/reports")["results"][0]["result"] == "acted"

    # A hold on the one, and a law for both.
    form = {"case": "2026-17", "user": "", "conversation": held, "reason": "letter of the court", **_TIMES}
    olga.post("/admin/compliance/hold/add/", form)
    hold = olga.find("/admin/compliance/hold/?state=held", "compliance/hold")
    policy = {"jurisdiction": "", "conversation_type": "", "min_days": "", "max_days": "30", "note": "a law"}
    olga.post("/admin/compliance/retentionpolicy/add/", {**policy, "reason": "the law is new"})
    assert "all of it" in olga.get(f"/admin/messaging/conversationrecord/{held}/")
    assert "30 days" in otto.get(f"/admin/messaging/conversationrecord/{free}/")

    # Ann goes; what is held of hers stays in the store, and nobody can tell the one from the other.
    account = olga.find("/admin/accounts/user/?q=ann", "accounts/user")
    olga.post(f"/admin/accounts/user/{account}/erase/", {"reason": "she wrote a letter", "case": ""})
    assert shell(stack, _ERASE).strip() == "held"
    assert (stored(stack, held), stored(stack, free)) == (EVERYTHING, [])
    for conv in (held, free):
        bob.until(conv, "", "", "", "")

    # The time is over.
    shell(stack, _SWEEP.format(days=40))
    assert stored(stack, held) == EVERYTHING
    assert (bob.texts(held), bob.texts(free)) == ([], [])

    # What a court gets has all of what is held, and nothing of the rest.
    files = exported(stack, olga, otto, held, free)
    rows = [json.loads(line) for line in files[f"{held}/messages.jsonl"].splitlines()]
    texts = {row["id"]: row for row in rows if row["kind"] == "text"}
    assert [row["body"] for row in texts.values()] == ["kept", "first words", "taken back", "rude"]
    first = texts[said[held]["first words"]]
    assert [it["body"] for it in first["changes"] if it["kind"] == "edit"] == ["second words"]
    assert "withheld" in texts[said[held]["rude"]]["hidden"]
    assert all("expired" in row["hidden"] for row in texts.values())
    assert not any(json.loads(line)["kind"] == "text" for line in files[f"{free}/messages.jsonl"].splitlines())
    members = {row["user"]: row for row in map(json.loads, files[f"{held}/members.jsonl"].splitlines())}
    assert members[ann.id]["sees_upto"] is not None, "she has left"
    assert members[bob.id]["sees_upto"] is None

    # Two let it go, and it goes.
    for officer, act in ((olga, "request"), (otto, "approve")):
        officer.post(f"/admin/compliance/hold/{hold}/release/{act}/", {"reason": "the case is closed"})
    assert shell(stack, _ERASE).strip() == "done"
    shell(stack, _SWEEP.format(days=41))
    assert (stored(stack, held), stored(stack, free)) == ([], [])

    audited(stack, tmp_path)


def exported(stack: FullStack, olga: Staff, otto: Staff, *conversations: str) -> dict[str, bytes]:
    """Ask for an export, have it made, and fetch it from the other gateway; its manifest is true."""
    form = {"case": "2026-17", "users": "", "conversations": "\n".join(conversations), "reason": "the court", **_TIMES}
    olga.post("/admin/compliance/export/add/", form)
    number = olga.find("/admin/compliance/export/", "compliance/export")
    shell(stack, f"from messaging.compliance import exports; exports.make({number})")
    answer = otto.post(f"/admin/compliance/export/{number}/download/", {"reason": "for the court"})
    zipped = zipfile.ZipFile(io.BytesIO(answer.content))
    files = {name: zipped.read(name) for name in zipped.namelist()}
    told = {it["name"]: it["sha256"] for it in json.loads(files["manifest.json"])["files"]}
    assert told == {name: hashlib.sha256(it).hexdigest() for name, it in files.items() if name != "manifest.json"}
    assert hashlib.sha256(answer.content).hexdigest() in otto.get(f"/admin/compliance/export/{number}/change/")
    return files


def audited(stack: FullStack, tmp_path: Path) -> None:
    """The log is whole, says who did what for which reason, and any change of it is found far from the server."""
    shell(stack, "from messaging.compliance import audit; assert audit.make_checkpoint() is not None")
    assert "Nothing was altered" in stack.manage("verify_audit")
    exported = stack.manage("export_audit")
    lines = [json.loads(line) for line in exported.splitlines()]
    entries = [line for line in lines if line["type"] == "entry"]
    wanted = [
        *("report.claimed", "content.viewed", "takedown.made", "report.decided", "hold.placed", "policy.created"),
        *("erasure.ordered", "erasure.begun", "erasure.held", "retention.swept", "export.requested", "export.made"),
        *("export.downloaded", "hold.release_requested", "hold.released", "erasure.done", "retention.swept"),
        "audit.exported",
    ]
    assert [line["action"] for line in entries] == wanted
    assert all(line["reason"] for line in entries if line["actor"] != "system")
    assert not any(text in exported for text in EVERYTHING if " " in text), "no text in the audit log"
    public = signing.public_key(KEY)
    file = tmp_path / "audit.jsonl"
    file.write_text(exported)
    assert "Nothing was altered" in stack.manage("verify_audit", str(file), "--key", public)
    altered = {**lines[0], "reason": "another"}
    for harmed in (lines[:2] + lines[3:], [lines[1], lines[0], *lines[2:]], [altered, *lines[1:]]):
        file.write_text("".join(json.dumps(line) + "\n" for line in harmed))
        with pytest.raises(AssertionError, match=r"missing|moved|altered"):
            stack.manage("verify_audit", str(file), "--key", public)
    with (
        psycopg.connect(stack.variables["CHAT_DATABASE_URL"]) as connection,
        pytest.raises(psycopg.Error, match="append-only"),
    ):
        connection.execute("UPDATE audit_entries SET reason = 'another' WHERE seq = 1")
