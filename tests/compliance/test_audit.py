"""The audit log: whatever is done to it afterwards is refused by the database, or found by whoever verifies it."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, connections, transaction

from chatproject import container
from messaging.compliance import audit, chain, guards, signing
from messaging.compliance.audit import Action, record
from messaging.compliance.models import AuditCheckpoint, AuditEntry
from messaging.compliance.tasks import checkpoint_audit, tell_audit
from messaging.domain.errors import InvalidInput
from messaging.domain.ids import UserId, user_ref
from messaging.ports import TOPIC_COMPLIANCE

ALICE = UserId(7)


def write(number: int = 3, **changes: Any) -> list[AuditEntry]:
    details = {"n": 1, "words": ["ü", None, True, {"deep": "\n"}]}
    said: dict[str, Any] = {"actor": ALICE, "object": "c_x", "reason": "a complaint", "details": details}
    return [record(Action.CONTENT_VIEWED, **{**said, **changes}) for _ in range(number)]


def found(keys: list[str] | None = None) -> list[str]:
    return audit.verify(keys=[signing.public_key(settings.AUDIT_KEY)] if keys is None else keys).problems


@pytest.mark.django_db
class TestRecord:
    def test_entries_are_numbered_and_chained(self) -> None:
        first, second = write(2, case="2026-17")
        assert (first.seq, first.prev_hash) == (1, chain.GENESIS)
        assert (second.seq, second.prev_hash) == (2, first.hash)
        row = AuditEntry.objects.get(seq=2)
        assert (row.actor, row.reason, row.case) == (user_ref(ALICE), "a complaint", "2026-17")
        assert found() == []

    @pytest.mark.parametrize("reason", ["", "  "])
    def test_the_staff_have_to_say_why(self, reason: str) -> None:
        with pytest.raises(InvalidInput):
            write(1, reason=reason)
        assert not AuditEntry.objects.exists()
        record(Action.RETENTION_SWEPT, actor=None, object="sweep/1")
        record(Action.ERASURE_REQUESTED, actor=ALICE, object=user_ref(ALICE))

    @pytest.mark.parametrize(
        "details", [{"x": 0.5}, {"x": 2**53}, {"x": "\0"}, {"x": "\ud800"}, {"X": 1}, {1: 1}, {"x": b""}]
    )
    def test_details_that_have_no_one_encoding_are_refused(self, details: dict[Any, Any]) -> None:
        with pytest.raises(ValueError):
            write(1, details=details)

    def test_it_is_undone_with_its_act(self) -> None:
        with transaction.atomic():
            write(1)
            transaction.set_rollback(True)
        assert not AuditEntry.objects.exists()
        assert write(1)[0].seq == 1


def at_once(work: Callable[[], Any], threads: int = 4) -> None:
    begin, errors = threading.Barrier(threads), []

    def run() -> None:
        try:
            begin.wait(10)
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert errors == []


@pytest.mark.django_db(transaction=True)
def test_those_who_write_at_once_make_one_chain() -> None:
    at_once(lambda: write(5))
    assert [entry.seq for entry in AuditEntry.objects.order_by("seq")] == list(range(1, 21))
    assert found() == []


def test_on_postgresql_too(postgresql: str) -> None:
    at_once(lambda: write(5, using=postgresql))
    assert AuditEntry.objects.using(postgresql).count() >= 20
    assert audit.verify(keys=[], using=postgresql).problems == []
    for sql in (
        "UPDATE audit_entries SET reason = 'another'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
    ):
        with pytest.raises(DatabaseError, match="append-only"), connections[postgresql].cursor() as cursor:
            cursor.execute(sql)
    guards.drop(connections[postgresql])
    assert len(audit.verify(keys=[], using=postgresql).problems) == 4
    guards.create(connections[postgresql])


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_entries SET reason = 'another' WHERE seq = 2",
        "DELETE FROM audit_entries WHERE seq = 2",
        "INSERT OR REPLACE INTO audit_entries SELECT * FROM audit_entries WHERE seq = 2",
        "UPDATE audit_checkpoints SET seq = 9",
        "DELETE FROM audit_checkpoints",
        "INSERT OR REPLACE INTO audit_checkpoints SELECT * FROM audit_checkpoints",
    ],
)
def test_the_database_refuses_to_change_it(sql: str) -> None:
    write()
    checkpoint_audit()
    with pytest.raises(IntegrityError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(sql)


#: What somebody may do who owns the database, and what is found then.
ALTERED = {
    "UPDATE audit_entries SET reason = 'another' WHERE seq = 2": ["entry 2 was altered"],
    "UPDATE audit_entries SET at = '2026-01-01 00:00:00' WHERE seq = 2": ["entry 2 was altered"],
    "UPDATE audit_entries SET details = '{}' WHERE seq = 3": ["entry 3 was altered"],
    "UPDATE audit_entries SET hash = prev_hash WHERE seq = 2": [
        "entry 2 was altered",
        "entry 3 does not follow entry 2: one of them was replaced",
    ],
    "DELETE FROM audit_entries WHERE seq = 2": ["missing: entries 2 to 2"],
    "DELETE FROM audit_entries WHERE seq > 2": ["missing: entries 3 to 3, which a checkpoint attests"],
    "DELETE FROM audit_entries": ["missing: entries 1 to 3, which a checkpoint attests"],
    "UPDATE audit_entries SET seq = 9 WHERE seq = 2": [
        "missing: entries 2 to 2",
        "missing: entries 4 to 8",
        "entry 9 was altered",
    ],
    "UPDATE audit_checkpoints SET entry_hash = key": [
        "the checkpoint at entry 3 was altered: its signature does not hold"
    ],
}


@pytest.mark.django_db
@pytest.mark.parametrize("sql", ALTERED)
def test_what_was_done_without_the_triggers_is_found(sql: str) -> None:
    write()
    checkpoint_audit()
    guards.drop(connection)
    with connection.cursor() as cursor:
        cursor.execute(sql)
    guards.create(connection)
    assert found() == ALTERED[sql]


@pytest.mark.django_db
def test_a_log_that_was_written_anew_is_found_by_its_checkpoint(tmp_path: Path) -> None:
    """Whoever owns the database can forge a whole chain, but not the signature."""
    write()
    checkpoint_audit()
    guards.drop(connection)
    AuditEntry.objects.all().delete()
    guards.create(connection)
    write(3, reason="nothing happened")
    assert found() == ["entry 3 is not the one that its checkpoint attests"]
    forger = signing.new_private_key()
    guards.drop(connection)
    AuditCheckpoint.objects.all().delete()
    guards.create(connection)
    trusted, settings.AUDIT_KEY = settings.AUDIT_KEY, forger
    try:
        checkpoint_audit()
    finally:
        settings.AUDIT_KEY = trusted
    name = signing.key_id(signing.public_key(forger))
    assert found() == [f"the checkpoint at entry 3 is by a key that is not trusted here: {name}"]


@pytest.mark.django_db
def test_a_missing_trigger_is_told() -> None:
    guards.drop(connection)
    assert len(found()) == 6
    guards.create(connection)
    assert found() == []


@pytest.mark.django_db
class TestFile:
    @pytest.fixture
    def exported(self, tmp_path: Path) -> Path:
        write(2)
        checkpoint_audit()
        write(2)
        path = tmp_path / "audit.jsonl"
        with path.open("w") as file:
            call_command("export_audit", stdout=file)
        return path

    def verify(self, path: Path) -> list[str]:
        try:
            call_command("verify_audit", str(path))
        except CommandError as error:
            return str(error).splitlines()
        return []

    def test_an_export_is_verified_without_the_database(
        self, exported: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        lines = [json.loads(line) for line in exported.read_text().splitlines()]
        assert [(line["type"], line["seq"]) for line in lines] == [
            *(("entry", 1), ("entry", 2), ("checkpoint", 2), ("entry", 3), ("entry", 4), ("entry", 5)),
        ]
        assert lines[-1]["action"] == "audit.exported"
        assert self.verify(exported) == []
        assert "5 entries, 1 to 5; 1 checkpoints, attested up to 2" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("change", "problems"),
        [
            (lambda lines: [*lines[:4], *lines[5:]], ["missing: entries 4 to 4"]),
            (
                lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
                [
                    "missing: entries 3 to 3",
                    "entry 3 stands after entry 4: moved or repeated",
                    "missing: entries 4 to 4",
                ],
            ),
            (lambda lines: [lines[0], *lines], ["entry 1 stands after entry 1: moved or repeated"]),
            (
                lambda lines: [*lines[:2], *lines[3:], lines[2]],
                ["the checkpoint at entry 2 stands after entry 5: moved"],
            ),
            (lambda lines: [*lines, "{"], ["after entry 5: a line that is neither entry nor checkpoint"]),
            (lambda lines: [*lines, '{"type": "entry", "seq": 6}'], ["after entry 5: a line that cannot be read"]),
            (lambda lines: [line.replace("complaint", "whim") for line in lines[3:4]], ["entry 3 was altered"]),
        ],
        ids=["removed", "moved", "repeated", "checkpoint moved", "no JSON", "no entry", "altered"],
    )
    def test_what_is_wrong_with_it_is_said(
        self, exported: Path, change: Callable[[list[str]], list[str]], problems: list[str]
    ) -> None:
        exported.write_text("\n".join(change(exported.read_text().splitlines())))
        assert self.verify(exported) == problems


@pytest.mark.django_db(transaction=True)
def test_the_topic_gets_each_line_in_order() -> None:
    write(2)
    checkpoint_audit()
    tell_audit()
    write(1)
    tell_audit()
    tell_audit()

    async def read() -> list[dict[str, Any]]:
        reader = container.message_log().reader(TOPIC_COMPLIANCE, group="test")
        records = await reader.poll(max_records=10, timeout_s=5)
        await reader.close()
        return [json.loads(record.payload) for record in records]

    told = asyncio.run(read())
    assert [(line["type"], line["seq"]) for line in told] == [
        *(("entry", 1), ("entry", 2), ("checkpoint", 2), ("entry", 3)),
    ]
    verifier = chain.Verifier([signing.public_key(settings.AUDIT_KEY)])
    for line in told:
        verifier.read(line)
    assert (verifier.problems, verifier.attested) == ([], 2)


@pytest.mark.django_db
def test_a_checkpoint_is_made_once() -> None:
    assert audit.make_checkpoint() is None
    write(1)
    assert audit.make_checkpoint() is not None
    assert audit.make_checkpoint() is None
    assert AuditCheckpoint.objects.count() == 1
