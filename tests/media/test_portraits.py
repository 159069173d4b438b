"""A person's own picture: set by themselves, seen by all but across a block, and gone with them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from PIL import Image

from accounts.models import Block, Bot, Device, User, new_token, token_digest
from accounts.services.closing import close
from chatproject import container
from messaging.compliance import holds, roles
from messaging.compliance.holds import NewHold
from messaging.compliance.models import AuditEntry
from messaging.compliance.tasks import begin_sweep
from messaging.domain import ids
from messaging.domain.ids import UserId
from messaging.media.models import Kind, MediaObject, MediaUse, State
from messaging.media.portraits import forget_portraits
from messaging.media.services import sweep
from tests.api.conftest import Person, bot_of, problem  # noqa: F401
from tests.media.objects import CAMERA, PLACE, Uploads, bytes_of, jpeg, picture, ready

pytestmark = pytest.mark.django_db
Route = Callable[[], None]
OFFICER, OTHER = UserId(71), UserId(72)


@pytest.fixture
def committed(django_capture_on_commit_callbacks: Any) -> Callable[[], AbstractContextManager[Any]]:
    """Return a context after which everything is done that waits for a commit."""
    return lambda: django_capture_on_commit_callbacks(execute=True)  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def committing(committed: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
    with committed():
        yield


def uploaded(person: Person, data: bytes | None = None, name: str = "me.png") -> str:
    told = Uploads(person).whole(None, picture(1200, 900) if data is None else data, name)
    assert told["state"] == State.READY
    return str(told["id"])


def put(person: Person, media: str) -> Any:
    return person.put("me/picture", {"media": media})


def with_picture(person: Person) -> str:
    media = ready(person.id, conversation=0, kind=Kind.IMAGE)
    assert put(person, media).status_code == 204
    person.user.refresh_from_db()
    return media


def everywhere(viewer: Person, of: Person, conversation: str) -> set[str | None]:
    """Return what the viewer is told of somebody's picture, in each place that tells of it."""
    conv = viewer.get(f"conversations/{conversation}").json()
    pages = (
        viewer.get("users", q=of.user.username).json()["results"],
        viewer.get(f"conversations/{conversation}/members").json()["results"],
        viewer.get(f"conversations/{conversation}/members", q=of.user.username).json()["results"],
        conv["members"],
        [it for row in viewer.get("conversations").json()["results"] for it in row["members"]],
        [viewer.get(f"users/{of.ref}").json(), viewer.get(f"users/{of.ref}/profile").json()],
    )
    return {one["picture"] for page in pages for one in page if one["id"] == of.ref}


class TestSeen:
    def test_everybody_sees_the_square_in_its_middle(self, ann: Person, bob: Person) -> None:
        data = jpeg(1200, 900, orientation=6)
        media = uploaded(ann, data, "holiday with Bob.jpg")
        assert put(ann, media).status_code == 204
        for person in (ann, bob):
            answer = person.get(f"users/{ann.ref}/picture", v=media)
            assert (answer.status_code, answer["Content-Type"]) == (200, "image/webp")
            assert "private" in answer["Cache-Control"]
            assert "holiday" not in answer["Content-Disposition"]
            content = bytes_of(answer)
            assert Image.open(BytesIO(content)).size == (256, 256)
        item = MediaObject.objects.get()
        kept = b"".join(container.media_store().read(item.content_key))
        assert Image.open(BytesIO(kept)).size == (640, 640) == (item.width, item.height)
        for secret in (PLACE, CAMERA):
            assert secret.encode() in data
            assert secret.encode() not in kept + content

    def test_it_is_told_wherever_the_person_is(self, ann: Person, bob: Person, route: Route) -> None:
        group = ann.group(bob)
        route()
        assert everywhere(bob, ann, group) == {None}
        media = with_picture(ann)
        assert everywhere(bob, ann, group) == {media}
        assert ann.get("me").json()["picture"] == media
        assert bob.get("me").json()["picture"] is None

    def test_who_asks_to_be_let_in_has_one(self, ann: Person, bob: Person, cat: Person) -> None:
        group = ann.group(bob)
        link = ann.post(f"conversations/{group}/invites", {"approval": True}).json()["token"]
        assert cat.post(f"invites/{link}", None).status_code in (200, 202)
        media = with_picture(cat)
        (asks,) = ann.get(f"conversations/{group}/requests").json()["results"]
        assert asks["picture"] == media

    @pytest.mark.parametrize("blocker", ["ann", "bob"])
    def test_across_a_block_there_is_none(self, ann: Person, bob: Person, route: Route, blocker: str) -> None:
        group = ann.group(bob)
        route()
        with_picture(ann)
        owner, target = (ann, bob) if blocker == "ann" else (bob, ann)
        Block.objects.create(owner=owner.user, target=target.user)
        assert everywhere(bob, ann, group) == {None}
        absent = problem(bob.get(f"users/{ids.user_ref(5)}/picture"), 404, "not_found")
        assert problem(bob.get(f"users/{ann.ref}/picture"), 404, "not_found") == absent
        assert [one["picture"] for one in bob.get("blocks").json()["results"]] == [None] * (blocker == "bob")
        # To others, and to oneself, it is as before.
        assert ann.get("me").json()["picture"] is not None

    def test_of_a_closed_account_there_is_none(self, ann: Person, bob: Person, route: Route) -> None:
        group = ann.group(bob)
        route()
        with_picture(ann)
        close(ann.user)
        assert everywhere(bob, ann, group) == {None}
        problem(bob.get(f"users/{ann.ref}/picture"), 404, "not_found")


class TestSet:
    def test_only_ones_own_picture_that_was_uploaded_to_be_one(self, ann: Person, bob: Person) -> None:
        group = ann.group(bob)
        for media in (
            ready(bob.id, conversation=0, kind=Kind.IMAGE),
            ready(ann.id, kind=Kind.IMAGE),
            ready(ann.id, conversation=0, kind=Kind.FILE),
            ready(ann.id, conversation=0, kind=Kind.IMAGE, state=State.PROCESSING),
            ids.media_ref(5),
            "f_nonsense",
        ):
            problem(put(ann, media), 404, "not_found")
        mine = with_picture(ann)
        # And what is somebody's picture is in no message, nor a group's.
        problem(ann.say(group, media=[mine]), 404, "not_found")
        problem(ann.put(f"conversations/{group}/picture", {"media": mine}), 404, "not_found")
        problem(ann.get(f"media/{mine}"), 404, "not_found")

    def test_what_is_no_picture_is_refused(self, ann: Person) -> None:
        told = Uploads(ann).whole(None, b"%PDF-1.7 and so on", "me.jpg", type="image/jpeg")
        assert (told["state"], told["reason"]) == (State.REFUSED, "this is no picture")
        problem(put(ann, told["id"]), 404, "not_found")
        problem(Uploads(ann).begin(None, b"x", size=33 * 1024 * 1024), 413, "too_large")  # type: ignore[arg-type]

    def test_the_one_before_goes(self, ann: Person, committed: Any) -> None:
        first, second = with_picture(ann), ready(ann.id, conversation=0, kind=Kind.IMAGE)
        for _ in range(2):
            with committed():
                assert put(ann, second).status_code == 204
        assert [ids.media_ref(it.pk) for it in MediaObject.objects.all()] == [second] != [first]
        MediaObject.objects.update(changed_at="2020-01-01T00:00:00Z")
        sweep()
        begin_sweep()
        assert MediaObject.objects.exists(), "it is not unused"
        for _ in range(2):
            with committed():
                assert ann.delete("me/picture").status_code == 204
        assert (MediaObject.objects.count(), MediaUse.objects.count()) == (0, 0)
        problem(ann.get(f"users/{ann.ref}/picture"), 404, "not_found")

    def test_a_hold_keeps_the_one_before_where_nobody_sees_it(self, ann: Person, committed: Any) -> None:
        first = with_picture(ann)
        hold = holds.place_hold(actor=OFFICER, new=NewHold("7", "a letter", user=ann.id))
        with committed():
            assert ann.delete("me/picture").status_code == 204
            begin_sweep()
        sweep()
        assert [ids.media_ref(it.pk) for it in MediaObject.objects.all()] == [first]
        problem(ann.get(f"users/{ann.ref}/picture"), 404, "not_found")
        holds.request_release(actor=OFFICER, hold_id=hold.pk, reason="closed")
        holds.approve_release(actor=OTHER, hold_id=hold.pk, reason="closed")
        with committed():
            begin_sweep()
        assert not MediaObject.objects.exists()

    def test_nothing_is_left_of_it_with_an_erased_account(self, ann: Person, committed: Any) -> None:
        with_picture(ann)
        with committed(), holds.deleting(users=[ann.id]):
            forget_portraits(ann.id)
        ann.user.refresh_from_db()
        assert (ann.user.picture, MediaObject.objects.count(), MediaUse.objects.count()) == (None, 0, 0)

    def test_a_bot_has_one_by_a_token_that_may_write(self, ann: Person, bot_of: Callable[..., Bot]) -> None:  # noqa: F811
        bot = bot_of(ann)
        media = ready(UserId(bot.pk), conversation=0, kind=Kind.IMAGE)
        for scopes, status in ((["read"], 403), (["read", "write"], 204)):
            token = new_token()
            Device.objects.create(user=bot.user, kind="bot", name="x", token_digest=token_digest(token), scopes=scopes)
            answer = Client().put(
                "/v1/me/picture", {"media": media}, "application/json", headers={"Authorization": f"Bearer {token}"}
            )
            assert answer.status_code == status, answer.content
        assert ann.get(f"users/{ids.user_ref(bot.pk)}").json()["picture"] == media


class TestTakenDown:
    @pytest.fixture
    def moderator(self, make_user: Callable[..., User]) -> Client:
        return self.staff(make_user, roles.MODERATOR)

    def staff(self, make_user: Callable[..., User], role: str) -> Client:
        from django.contrib.auth.models import Group

        user = make_user("mod", is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        return client

    def test_moderators_take_it_down_for_a_reason(self, moderator: Client, ann: Person) -> None:
        with_picture(ann)
        page, path = f"/admin/accounts/user/{ann.user.pk}/change/", f"/admin/accounts/user/{ann.user.pk}/picture/"
        assert path in moderator.get(page).content.decode()
        assert moderator.post(path, {"reason": " "}).status_code == 200
        ann.user.refresh_from_db()
        assert ann.user.picture is not None
        assert moderator.post(path, {"reason": "nothing for a school"}).status_code == 302
        ann.user.refresh_from_db()
        assert ann.user.picture is None
        assert path not in moderator.get(page).content.decode()
        entry = AuditEntry.objects.order_by("seq").last()
        assert entry is not None
        assert (entry.action, entry.object, entry.details) == ("user.changed", ann.ref, {"fields": ["picture"]})

    def test_others_of_the_staff_do_not(self, make_user: Callable[..., User], ann: Person) -> None:
        with_picture(ann)
        client = self.staff(make_user, roles.OFFICER)
        assert client.post(f"/admin/accounts/user/{ann.user.pk}/picture/", {"reason": "x"}).status_code == 403
        ann.user.refresh_from_db()
        assert ann.user.picture is not None
