"""A group's picture: its owner and admins set it, its members see it, and the file before goes."""

from collections.abc import Callable
from typing import Any

import pytest

from chatproject import container
from messaging.domain import ids
from messaging.media.models import Kind, MediaObject, MediaUse, State
from messaging.media.services import sweep
from tests.api.conftest import Person, problem
from tests.media.objects import Uploads, bytes_of, picture, ready

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


@pytest.fixture
def group(ann: Person, bob: Person) -> str:
    return ann.group(bob)


def put(person: Person, group: str, media: str) -> Any:
    return person.put(f"conversations/{group}/picture", {"media": media})


def shown(person: Person, group: str) -> Any:
    return person.get(f"conversations/{group}").json()["picture"]


def image(person: Person, **fields: Any) -> str:
    return ready(person.id, kind=Kind.IMAGE, **fields)


def test_members_see_what_an_admin_uploaded(ann: Person, bob: Person, cat: Person, group: str, route: Route) -> None:
    media = Uploads(ann).whole(group, picture(1200, 900), "us.png")["id"]
    assert put(ann, group, media).status_code == 204
    route()
    for person in (ann, bob):
        assert shown(person, group) == media
        answer = person.get(f"conversations/{group}/picture", v=media)
        assert (answer.status_code, answer["Content-Type"]) == (200, "image/webp")
        assert bytes_of(answer)[8:12] == b"WEBP"
    problem(cat.get(f"conversations/{group}/picture"), 404, "not_found")
    newest = bob.get(f"conversations/{group}/messages").json()["results"][0]
    assert (newest["event"]["type"], newest["from"]) == ("picture_set", ann.ref)
    # It is nobody's to send any more, and is not swept away as unused.
    problem(ann.get(f"media/{media}"), 404, "not_found")
    MediaObject.objects.update(changed_at="2020-01-01T00:00:00Z")
    sweep()
    assert bob.get(f"conversations/{group}/picture").status_code == 200


def test_the_file_before_goes(ann: Person, group: str) -> None:
    first, second = image(ann), image(ann)
    put(ann, group, first)
    for _ in range(2):
        assert put(ann, group, second).status_code == 204
    assert [ids.media_ref(it.pk) for it in MediaObject.objects.all()] == [second]
    for _ in range(2):
        assert ann.delete(f"conversations/{group}/picture").status_code == 204
    assert (MediaObject.objects.count(), MediaUse.objects.count(), shown(ann, group)) == (0, 0, None)
    problem(ann.get(f"conversations/{group}/picture"), 404, "not_found")


def test_only_ones_own_ready_pictures_may_be_one(ann: Person, bob: Person, group: str, route: Route) -> None:
    sent = image(ann)
    ann.say(group, media=[sent])
    for media in (
        image(bob), sent, ready(ann.id), image(ann, state=State.PROCESSING), ids.media_ref(5), "f_nonsense"
    ):  # fmt: skip
        problem(put(ann, group, media), 404, "not_found")
    assert shown(ann, group) is None


def test_only_the_owner_and_admins_of_a_group(ann: Person, bob: Person, cat: Person, group: str) -> None:
    for person, status, code in ((bob, 403, "forbidden"), (cat, 404, "not_found")):
        problem(put(person, group, image(person)), status, code)
        problem(person.delete(f"conversations/{group}/picture"), status, code)
    dm = ann.dm(bob)
    problem(put(ann, dm, image(ann)), 409, "conflict")
    assert container.conversation_store().get([ids.parse_conversation(dm)])
