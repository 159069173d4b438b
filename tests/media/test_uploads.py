"""Uploads: in parts, resumed, completed once, bounded; and nobody else's."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from threading import Barrier, Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.db import connections
from django.utils import timezone
from PIL import Image

from chatproject import container
from messaging.api.parsing import MAX_BODY_BYTES
from messaging.domain import ids
from messaging.domain.messages import DedupeKey
from messaging.media import services
from messaging.media.models import MediaObject, MediaUse, State
from messaging.ports import MediaMissing
from tests.api.conftest import Person, problem
from tests.media.objects import Uploads, bytes_of, picture, ready

pytestmark = pytest.mark.django_db

MIB = 1024 * 1024


def stored(ref: str) -> MediaObject:
    return MediaObject.objects.get(pk=ids.parse_media(ref))


def test_an_upload_is_resumed_with_the_parts_that_are_missing(ann: Person, bob: Person) -> None:
    data, uploads = picture(1200, 900, kind="BMP")[: 2 * MIB + 5], Uploads(ann)
    begun = uploads.begin(ann.dm(bob), data, "scan.bmp").json()
    ref = begun["id"]
    assert [(it["number"], it["offset"], it["size"]) for it in begun["missing"]] == [
        (1, 0, MIB), (2, MIB, MIB), (3, 2 * MIB, 5)
    ]  # fmt: skip
    assert begun["missing"][2]["url"] == f"/v1/media/{ref}/parts/3"
    assert uploads.part(ref, 3, data[2 * MIB :]).status_code == 204
    assert uploads.part(ref, 1, data[:MIB]).status_code == 204
    problem(ann.post(f"media/{ref}/complete", None), 409, "conflict")
    assert [it["number"] for it in ann.get(f"media/{ref}").json()["missing"]] == [2]
    assert uploads.part(ref, 2, data[MIB : 2 * MIB]).status_code == 204
    assert ann.post(f"media/{ref}/complete", None).json()["state"] == "processing"
    # An answer that was lost: it is asked again.
    assert ann.post(f"media/{ref}/complete", None).status_code == 202
    problem(uploads.part(ref, 2, data[MIB : 2 * MIB]), 409, "conflict")
    services.process(ids.parse_media(ref))
    told = ann.get(f"media/{ref}").json()
    assert (told["state"], told["kind"], told["type"], told["size"]) == (
        "ready", "file", "application/octet-stream", len(data)
    )  # fmt: skip
    assert bytes_of(ann.get(f"media/{ref}/content")) == data


def test_a_part_has_its_place_and_size(ann: Person, bob: Person) -> None:
    uploads = Uploads(ann)
    ref = uploads.begin(ann.dm(bob), b"12345").json()["id"]
    for number, data in ((1, b"1234"), (1, b"123456"), (0, b"12345"), (2, b"12345"), (1, b"")):
        problem(uploads.part(ref, number, data), 400, "invalid")
    problem(uploads.part(ref, 1, b"x" * (MAX_BODY_BYTES + 1)), 413, "too_large")
    for number in ("x", "-1", "1.0", "²", "1" * 20):
        problem(uploads.part(ref, number, b"12345"), 400, "invalid")
    assert [it["number"] for it in ann.get(f"media/{ref}").json()["missing"]] == [1]


@pytest.mark.django_db(transaction=True)
def test_parts_may_come_at_once_and_again(ann: Person, bob: Person) -> None:
    data = bytes(range(256)) * (3 * MIB // 256)
    uploads = Uploads(ann)
    ref = uploads.begin(ann.dm(bob), data).json()["id"]
    together, statuses = Barrier(6), []

    def send(number: int) -> None:
        try:
            together.wait()
            statuses.append(uploads.part(ref, number, data[(number - 1) * MIB : number * MIB]).status_code)
        finally:
            connections.close_all()

    threads = [Thread(target=send, args=[number]) for number in (1, 2, 3, 1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [204] * 6
    assert ann.post(f"media/{ref}/complete", None).status_code == 202
    services.process(ids.parse_media(ref))
    assert bytes_of(ann.get(f"media/{ref}/content")) == data


def test_a_complete_upload_is_a_job(ann: Person, bob: Person) -> None:

    queue = Path(settings.JOBS_DIR) / "waiting"
    before = set(queue.iterdir()) if queue.exists() else set()
    uploads = Uploads(ann)
    ref = uploads.begin(ann.dm(bob), b"12345").json()["id"]
    uploads.part(ref, 1, b"12345")
    ann.post(f"media/{ref}/complete", None)
    [job] = set(queue.iterdir()) - before
    assert "messaging.media.tasks.process" in job.read_text()
    job.unlink()


def test_a_job_that_was_lost_is_queued_again(ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    queued: list[int] = []
    monkeypatch.setattr("messaging.media.tasks.process.delay", queued.append)
    old, fresh = (ids.parse_media(ready(ann.id, state=State.PROCESSING)) for _ in range(2))
    MediaObject.objects.filter(pk=old).update(changed_at=timezone.now() - timedelta(minutes=11))
    services.sweep()
    assert queued == [old]
    assert fresh not in queued


def test_limits_of_size_number_and_day(ann: Person, bob: Person, settings: Any) -> None:
    settings.LIMITS = replace(settings.LIMITS, max_media_bytes=100, max_media_day_bytes=250, max_uploads=3)
    uploads, dm = Uploads(ann), ann.dm(bob)
    problem(uploads.begin(dm, b"x" * 101), 413, "too_large")
    problem(uploads.begin(dm, b""), 400, "invalid")
    for _ in range(2):
        assert uploads.begin(dm, b"x" * 100).status_code == 201
    problem(uploads.begin(dm, b"x" * 51), 429, "rate_limited")
    last = uploads.begin(dm, b"x" * 50)
    assert last.status_code == 201
    # Cancelled ones count no more.
    assert ann.delete(f"media/{last.json()['id']}").status_code == 204
    assert uploads.begin(dm, b"x").status_code == 201
    problem(uploads.begin(dm, b"x"), 429, "rate_limited")
    assert Uploads(bob).begin(dm, b"x").status_code == 201


def test_who_may_not_write_may_not_upload(ann: Person, bob: Person, cat: Person) -> None:
    dm = ann.dm(bob)
    problem(Uploads(cat).begin(dm, b"x"), 404, "not_found")
    problem(Uploads(cat).begin("c_x", b"x"), 404, "not_found")
    assert bob.put(f"blocks/{ann.ref}", None).status_code in (200, 204)
    problem(Uploads(ann).begin(dm, b"x"), 403, "blocked")


def test_anothers_upload_does_not_exist(ann: Person, bob: Person) -> None:
    uploads = Uploads(ann)
    ref = uploads.begin(ann.dm(bob), b"12345").json()["id"]
    for answer in (
        bob.get(f"media/{ref}"),
        bob.delete(f"media/{ref}"),
        bob.post(f"media/{ref}/complete", None),
        Uploads(bob).part(ref, 1, b"12345"),
        bob.get(f"media/{ref}/content"),
        bob.get(f"media/{ref}/thumbnail"),
    ):
        problem(answer, 404, "not_found")
    assert uploads.part(ref, 1, b"12345").status_code == 204


def test_cancelling_deletes_what_came(ann: Person, bob: Person) -> None:
    uploads, store = Uploads(ann), container.media_store()
    ref = uploads.begin(ann.dm(bob), b"12345").json()["id"]
    uploads.part(ref, 1, b"12345")
    item = stored(ref)
    assert ann.delete(f"media/{ref}").status_code == 204
    problem(ann.get(f"media/{ref}"), 404, "not_found")
    problem(uploads.part(ref, 1, b"12345"), 404, "not_found")
    with pytest.raises(MediaMissing):
        store.parts(item.key("original"), item.upload)


def test_one_that_is_cancelled_while_it_is_looked_at_leaves_nothing(
    ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race is forced: the object goes between the job's reading and its writing."""
    uploads, store = Uploads(ann), container.media_store()
    ref = uploads.begin(ann.dm(bob), picture()).json()["id"]
    uploads.part(ref, 1, picture())
    ann.post(f"media/{ref}/complete", None)
    item, rewrite = stored(ref), services.images.rewrite

    def cancelled_meanwhile(*args: Any, **kwargs: Any) -> Any:
        assert ann.delete(f"media/{ref}").status_code == 204
        return rewrite(*args, **kwargs)

    monkeypatch.setattr("messaging.media.services.images.rewrite", cancelled_meanwhile)
    services.process(ids.MediaId(item.pk))
    for part in ("original", "content", "thumbnail"):
        with pytest.raises(MediaMissing):
            store.size(item.key(part))


def test_a_picture_gets_a_thumbnail_and_a_preview(ann: Person, bob: Person) -> None:
    told = Uploads(ann).whole(ann.dm(bob), picture(1600, 1200), "holiday.png")
    assert (told["state"], told["kind"], told["type"]) == ("ready", "image", "image/png")
    assert (told["width"], told["height"], told["name"], told["thumbnail"]) == (1600, 1200, "holiday.png", True)
    assert told["preview"].startswith("data:image/webp;base64,")
    assert len(told["preview"]) < 1_000
    small = ann.get(f"media/{told['id']}/thumbnail")
    assert small["Content-Type"] == "image/webp"
    assert Image.open(BytesIO(bytes_of(small))).size == (640, 480)
    original = stored(told["id"]).key("original")
    with pytest.raises(MediaMissing):
        container.media_store().size(original)


def test_a_voice_note_is_one_only_if_it_is_sound(ann: Person, bob: Person) -> None:
    webm, dm, uploads = b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm" + bytes(100), ann.dm(bob), Uploads(ann)
    told = uploads.whole(dm, webm, "note.webm", type="audio/webm;codecs=opus", voice=True, duration_ms=2500)
    assert (told["kind"], told["type"], told["duration_ms"]) == ("voice", "audio/webm", 2500)
    assert uploads.whole(dm, webm, "film.webm", voice=True)["kind"] == "video"
    assert uploads.whole(dm, b"#!/bin/sh", "note.webm", type="audio/webm", voice=True)["kind"] == "file"


def test_the_sweep_deletes_what_no_message_refers_to(ann: Person, bob: Person) -> None:
    dm = ann.dm(bob)
    used, unused, fresh = (Uploads(ann).whole(dm, b"12345")["id"] for _ in range(3))
    begun = Uploads(ann).begin(dm, b"12345").json()["id"]
    assert ann.say(dm, media=[used]).status_code == 201
    long_ago = timezone.now() - timedelta(days=8)
    MediaObject.objects.exclude(pk=ids.parse_media(fresh)).update(changed_at=long_ago)
    key = stored(unused).content_key
    assert services.sweep() == 2
    assert {ids.media_ref(pk) for pk in MediaObject.objects.values_list("pk", flat=True)} == {used, fresh}
    assert begun not in {used, fresh}
    with pytest.raises(MediaMissing):
        container.media_store().size(key)
    assert container.media_store().size(stored(used).content_key) == 5


def test_media_go_with_the_last_message_that_refers_to_them(
    ann: Person, bob: Person, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    dm, msg_ids = ann.dm(bob), [uuid4(), uuid4()]
    ref = Uploads(ann).whole(dm, b"12345")["id"]
    for msg_id in msg_ids:
        assert ann.say(dm, media=[ref], msg_id=str(msg_id)).status_code == 201
    conversation = ids.parse_conversation(dm)

    def release(sender: Person, msg_id: UUID) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            services.release([DedupeKey(conversation, sender.id, msg_id.bytes)])

    release(bob, msg_ids[0])
    assert MediaUse.objects.count() == 2, "another's message"
    release(ann, msg_ids[0])
    assert MediaUse.objects.count() == 1
    assert MediaObject.objects.exists()
    release(ann, msg_ids[1])
    assert not MediaObject.objects.exists()
