"""Files go with the last message that refers to them, and stay where a message that refers to them is held."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chatproject import container
from messaging.adapters.embedded.media import FileMediaStore
from messaging.compliance import holds, retention
from messaging.compliance.holds import NewHold
from messaging.compliance.models import RetentionPolicy, Sweep
from messaging.domain import ids
from messaging.domain.ids import UserId
from messaging.media import services
from messaging.media.models import MediaObject, MediaUse
from messaging.ports import MediaMissing, MediaUnavailable
from tests.api.conftest import Person
from tests.media.objects import Uploads, picture

pytestmark = pytest.mark.django_db
Route = Callable[[], None]
Sweeping = Callable[[], Sweep]


@pytest.fixture
def sweep(django_capture_on_commit_callbacks: Callable[..., Any]) -> Sweeping:
    """Return a function that sweeps as in forty days."""
    RetentionPolicy.objects.create(max_days=30, note="a rule")

    def run() -> Sweep:
        it = retention.begin()
        Sweep.objects.filter(pk=it.pk).update(started_at=timezone.now() + timedelta(days=40))
        with django_capture_on_commit_callbacks(execute=True):
            assert retention.go_on(it, until=time.monotonic() + 60)
        it.refresh_from_db()
        return it

    return run


def keys_of(ref: str) -> list[str]:
    item = MediaObject.objects.get(pk=ids.parse_media(ref))
    return [item.content_key, item.thumbnail_key]


def there(keys: list[str]) -> list[bool]:
    found = []
    for key in keys:
        try:
            found.append(container.media_store().size(key) > 0)
        except MediaMissing:
            found.append(False)
    return found


def test_a_picture_goes_with_its_thumbnail(ann: Person, bob: Person, route: Route, sweep: Sweeping) -> None:
    dm = ann.dm(bob)
    ref = Uploads(ann).whole(dm, picture())["id"]
    ann.say(dm, "look", media=[ref])
    route()
    keys = keys_of(ref)
    assert there(keys) == [True, True]
    assert sweep().deleted == 2
    assert there(keys) == [False, False]
    assert not MediaObject.objects.exists()
    assert not MediaUse.objects.exists()


def test_what_another_message_refers_to_stays(ann: Person, bob: Person, route: Route, sweep: Sweeping) -> None:
    dm, other = ann.dm(bob), ann.group(bob)
    ref = Uploads(ann).whole(dm, picture())["id"]
    for conversation in (dm, other):
        ann.say(conversation, media=[ref])
    route()
    keys = keys_of(ref)
    hold = holds.place_hold(actor=UserId(1), new=NewHold("7", "a letter", conversation=ids.parse_conversation(other)))
    assert sweep().held == 2
    assert there(keys) == [True, True]
    assert [it.conversation_id for it in MediaUse.objects.all()] == [ids.parse_conversation(other)]
    holds.request_release(actor=UserId(1), hold_id=hold.pk, reason="closed")
    holds.approve_release(actor=UserId(2), hold_id=hold.pk, reason="closed")
    sweep()
    assert there(keys) == [False, False]


def test_only_what_is_held_of_a_conversation_keeps_its_files(
    ann: Person, bob: Person, route: Route, sweep: Sweeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP", 2)
    dm = ann.dm(bob)
    refs, sent = [], []
    for _ in range(4):
        refs.append(Uploads(ann).whole(dm, b"12345")["id"])
        sent.append(ids.parse_server_id(ann.say(dm, media=[refs[-1]]).json()["server_id"])[1])
    route()
    kept = sent[2], sent[2]
    monkeypatch.setattr(holds, "_span", lambda hold: kept)
    holds.place_hold(actor=UserId(1), new=NewHold("7", "a letter", conversation=ids.parse_conversation(dm)))
    sweep()
    assert [ids.media_ref(pk) for pk in MediaObject.objects.values_list("pk", flat=True)] == [refs[2]]


def test_while_the_store_of_media_is_away_messages_go_and_files_later(
    ann: Person, bob: Person, route: Route, sweep: Sweeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    dm = ann.dm(bob)
    ref = Uploads(ann).whole(dm, b"12345")["id"]
    ann.say(dm, media=[ref])
    route()
    [key, _] = keys_of(ref)

    def away(*args: Any) -> None:
        raise MediaUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(FileMediaStore, "delete", away)
        assert sweep().failed == 0
    assert there([key]) == [True]
    assert ann.get(f"media/{ref}").status_code == 404 or MediaObject.objects.get().state == "refused"
    MediaObject.objects.update(changed_at=timezone.now() - timedelta(days=30))
    services.sweep()
    assert there([key]) == [False]


def test_what_moderators_withhold_nobody_downloads(ann: Person, bob: Person, route: Route) -> None:
    from asgiref.sync import async_to_sync

    from messaging.domain.events import MessageModerated
    from messaging.services.send import append_change

    dm = ann.dm(bob)
    ref = Uploads(ann).whole(dm, picture())["id"]
    said = ann.say(dm, media=[ref]).json()["server_id"]
    route()

    def statuses() -> set[int]:
        paths = (f"media/{ref}/content", f"media/{ref}/thumbnail")
        return {who.get(path, message=said).status_code for path in paths for who in (ann, bob)}

    assert statuses() == {200}
    for number, on in ((b"1" * 16, True), (b"2" * 16, False)):
        conversation, message = ids.parse_server_id(said)
        change = MessageModerated(number, message, on)
        async_to_sync(append_change)(log=container.message_log(), conversation=conversation, change=change)
        route()
        assert statuses() == ({404} if on else {200})
