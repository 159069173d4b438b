"""An account is erased with all that its owner wrote, unless they come back in time; a hold makes it wait, unseen."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.test import Client as Browser
from django.utils import timezone
from prometheus_client import REGISTRY
from rest_framework.test import APIClient

from accounts.models import Block, Device, User
from chatproject import container
from messaging.compliance import holds, roles
from messaging.compliance.holds import NewHold
from messaging.compliance.models import AuditEntry, Hold, RetentionPolicy
from messaging.domain import ids
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.media.models import MediaObject
from messaging.ports import LogUnavailable, MediaMissing, StoreUnavailable
from messaging.rights import erasures
from messaging.rights.models import Erasure
from messaging.unsent.models import Draft, ScheduledMessage
from tests.api.conftest import Person, ann, bob, cat, person, problem, route  # noqa: F401  # fixtures
from tests.conftest import PASSWORD
from tests.media.objects import Uploads, picture

pytestmark = pytest.mark.django_db
Route = Callable[[], None]
Commits = Callable[..., Any]
PROOF = {"password": PASSWORD}
OFFICER, OTHER = UserId(1), UserId(2)


def due() -> None:
    Erasure.objects.update(next_at=timezone.now())


def work(*, rounds: int = 4) -> None:
    """Do what the clock makes the job do over hours."""
    for _ in range(rounds):
        due()
        erasures.go_on(until=time.monotonic() + 60)


def erase(person: Person) -> Erasure:  # noqa: F811
    erasures.request_confirmed(user=person.user)
    work()
    return Erasure.objects.get(user=person.user)


def stored(conversation: str) -> list[str]:
    """What the store has of what was said, also what nobody is shown, oldest first."""
    number = ids.parse_conversation(conversation)
    rows = container.message_store().oldest_after(number, after=MessageId(0), limit=100)
    return [row.last_text for row in rows if row.kind == "text"]


def edits(conversation: str) -> list[str]:
    number = ids.parse_conversation(conversation)
    return [it.body for it in container.message_store().newest_changes(number, limit=100) if it.kind.value == "edit"]


def release(hold: Hold) -> None:
    holds.request_release(actor=OFFICER, hold_id=hold.pk, reason="closed")
    holds.approve_release(actor=OTHER, hold_id=hold.pk, reason="closed")


def test_all_that_they_wrote_goes_everywhere_and_what_others_wrote_stays(
    store: str,
    ann: Person,  # noqa: F811
    bob: Person,  # noqa: F811
    cat: Person,  # noqa: F811
    route: Route,  # noqa: F811
) -> None:
    dm, group, left = ann.dm(bob), ann.group(bob, cat), bob.group(ann, cat)
    first = ann.say(dm, "first").json()["server_id"]
    bob.say(dm, "of Bob")
    ann.say(dm, "second")
    ann.say(group, "in the group")
    ann.say(left, "before I left")
    route()
    ann.patch(f"messages/{first}", {"msg_id": "6c1f3b52-6a80-4d0c-9df3-0f5a3d9d1c11", "body": "better"})
    gone = ann.say(dm, "deleted by its author").json()["server_id"]
    route()
    ann.delete(f"messages/{gone}")
    ann.delete(f"conversations/{left}/members/{ann.ref}")
    route()
    done = erase(ann)
    route()
    assert (done.state, done.conversations, done.messages) == ("done", 3, 5)
    assert (stored(dm), stored(group), stored(left)) == (["", "of Bob", "", ""], [""], [""])
    assert edits(dm) == [""]
    # What members see: as if she had deleted each for everyone.
    shown = bob.get(f"conversations/{dm}/messages").json()["results"]
    assert [(it["body"], it["deleted"]) for it in shown if it["kind"] == "text"] == [
        ("", True),
        ("", True),
        ("of Bob", False),
        ("", True),
    ]
    texts = [it for it in cat.get(f"conversations/{left}/messages").json()["results"] if it["kind"] == "text"]
    assert [it["deleted"] for it in texts] == [True]
    # She is in no group any more, and somebody else is its owner.
    members = {it["id"]: it["role"] for it in bob.get(f"conversations/{group}").json()["members"]}
    assert set(members) == {bob.ref, cat.ref}
    assert "owner" in members.values()
    work()
    assert Erasure.objects.get().messages == 5


def test_whoever_was_away_learns_of_it(ann: Person, bob: Person, route: Route) -> None:  # noqa: F811
    from messaging.domain.limits import Limits
    from messaging.selectors import history

    dm = ann.dm(bob)
    said = ann.say(dm, "hello").json()["server_id"]
    route()
    mark = {ids.parse_conversation(dm): {0: ids.parse_server_id(said)[1]}}
    erase(ann)
    route()
    [backfill] = history.backfill(bob.id, mark, limits=Limits())
    assert [(it.target, it.sender) for it in backfill.changes] == [(said, ann.ref)]  # type: ignore[union-attr]


def test_nothing_is_left_of_the_person_but_a_number(ann: Person, bob: Person, route: Route) -> None:  # noqa: F811
    dm = ann.dm(bob)
    Device.objects.create(user=ann.user, kind="token", name="Ann's phone", token_digest="x")
    User.objects.filter(pk=ann.user.pk).update(email="ann@example.org")
    ann.user.refresh_from_db()
    Block.objects.create(owner=ann.user, target=bob.user)
    ann.post("me/exports", PROOF)
    group = bob.group()
    link = bob.post(f"conversations/{group}/invites", {"approval": True}).json()["token"]
    assert ann.post(f"invites/{link}", {}).json()["status"] == "requested"
    own = ann.group()
    led = ann.post(f"conversations/{own}/invites", {}).json()["token"]
    assert ann.put(f"conversations/{dm}/draft", {"body": "begun"}).status_code == 204
    at = timezone.now() + timedelta(days=9)
    later = {"conversation": own, "msg_id": str(uuid4()), "body": "later", "send_at": at.isoformat()}
    assert ann.post("scheduled", later).status_code == 201
    erase(ann)
    assert not Draft.objects.exists()
    assert not ScheduledMessage.objects.exists()
    assert bob.get(f"conversations/{group}/requests").json()["results"] == []
    problem(bob.get(f"invites/{led}"), 404, "not_found")
    ann.user.refresh_from_db()
    assert (ann.user.username, ann.user.email, ann.user.display_name) == (f"deleted_{ann.user.pk:x}", "", "")
    assert not ann.user.has_usable_password()
    assert not Device.objects.filter(user=ann.user).exists()
    assert not Block.objects.exists()
    assert not ann.user.data_exports.exists()
    assert bob.get(f"users/{ann.ref}").json()["display_name"] == "Deleted account"
    assert bob.get("users", q="ann").json()["results"] == []
    problem(bob.post("conversations", {"type": "group", "members": [ann.ref], "name": "x"}), 404, "not_found")
    told = str(list(AuditEntry.objects.values_list("action", "object", "details", "reason")))
    assert "ann" not in told.replace(ann.ref, "")
    assert AuditEntry.objects.filter(action="erasure.done", object=ann.ref, actor="system").count() == 1
    assert dm


def test_files_go_with_it_but_not_what_others_forwarded(
    ann: Person,  # noqa: F811
    bob: Person,  # noqa: F811
    cat: Person,  # noqa: F811
    route: Route,  # noqa: F811
    django_capture_on_commit_callbacks: Commits,
) -> None:
    dm, other = ann.dm(bob), bob.dm(cat)
    sent, passed_on, unsent = (Uploads(ann).whole(dm, b"12345")["id"] for _ in range(3))
    ann.say(dm, media=[sent])
    said = ann.say(dm, media=[passed_on]).json()["server_id"]
    route()
    assert bob.say(other, media=[passed_on], forwarded_from=said).status_code == 201
    route()
    key = MediaObject.objects.get(pk=ids.parse_media(sent)).content_key
    mine = Uploads(ann).whole(None, picture())["id"]
    assert ann.put("me/picture", {"media": mine}).status_code == 204
    with django_capture_on_commit_callbacks(execute=True):
        erase(ann)
    route()
    assert {ids.media_ref(pk) for pk in MediaObject.objects.values_list("pk", flat=True)} == {passed_on}
    assert unsent != passed_on
    with pytest.raises(MediaMissing):
        container.media_store().size(key)


class TestGrace:
    def test_signing_in_before_the_day_keeps_the_account(self, ann: Person) -> None:  # noqa: F811
        token = APIClient().post("/v1/tokens", {"username": "ann", "password": PASSWORD}, format="json").json()["token"]
        client = APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")
        problem(client.post("/v1/me/erasure", {"password": "wrong"}, format="json"), 400, "invalid")
        asked = client.post("/v1/me/erasure", {"password": PASSWORD}, format="json")
        assert asked.status_code == 202
        assert client.get("/v1/me").status_code == 401, "signed out everywhere"
        erasures.go_on(until=time.monotonic() + 60)
        assert Erasure.objects.get().state == "asked"
        assert (
            APIClient().post("/v1/tokens", {"username": "ann", "password": PASSWORD}, format="json").status_code == 201
        )
        assert Erasure.objects.get().state == "cancelled"
        work()
        assert User.objects.get(pk=ann.user.pk).is_active
        assert [it.action for it in AuditEntry.objects.order_by("seq")] == ["erasure.requested", "erasure.cancelled"]
        # It may be asked for again.
        erasures.request_confirmed(user=ann.user)

    def test_in_the_browser_it_asks_for_the_password_and_says_until_when(self, ann: Person) -> None:  # noqa: F811
        browser = Browser()
        browser.force_login(ann.user)
        assert "/reauthenticate/" in browser.get("/settings/erase").headers["Location"]
        assert browser.post("/settings/erase").status_code == 302
        assert not Erasure.objects.exists()
        browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
        assert "In 14 days" in browser.get("/settings/erase").content.decode()
        answer = browser.post("/settings/erase", follow=True)
        assert "will be deleted on" in answer.content.decode()
        assert browser.get("/settings/").status_code == 302
        answer = browser.post("/accounts/login/", {"login": "ann", "password": PASSWORD}, follow=True)
        assert Erasure.objects.get().state == "cancelled"

    def test_once_closed_nobody_signs_in_and_the_name_is_told_to_nobody(
        self,
        ann: Person,  # noqa: F811
        bob: Person,  # noqa: F811
    ) -> None:
        erasures.request_confirmed(user=ann.user)
        work(rounds=1)
        erasure = Erasure.objects.get()
        assert erasure.state == "erasing"
        assert erasure.next_at > timezone.now() + timedelta(seconds=60), "what was sent may be in the log only"
        problem(
            APIClient().post("/v1/tokens", {"username": "ann", "password": PASSWORD}, format="json"),
            401,
            "unauthenticated",
        )
        page = Browser().post("/accounts/login/", {"login": "ann", "password": PASSWORD}, follow=True)
        assert "This account is closed" in page.content.decode()
        assert bob.get(f"users/{ann.ref}").json()["display_name"] == "Deleted account"
        assert not erasures.cancel(user=ann.user)

    def test_it_is_asked_for_once_and_not_by_the_staff(self, ann: Person, make_user: Any) -> None:  # noqa: F811
        erasures.request_confirmed(user=ann.user)
        body = {"password": PASSWORD}
        problem(ann.post("me/erasure", body), 409, "conflict")
        staff = Person(make_user("meg", is_staff=True))
        problem(staff.post("me/erasure", body), 403, "forbidden")


class TestHold:
    def test_what_is_held_is_hidden_and_kept_and_goes_when_the_hold_ends(
        self,
        store: str,
        ann: Person,  # noqa: F811
        bob: Person,  # noqa: F811
        cat: Person,  # noqa: F811
        route: Route,  # noqa: F811
        django_capture_on_commit_callbacks: Commits,
        jobs_run_at_once: None,
    ) -> None:
        User.objects.filter(pk=ann.user.pk).update(email="ann@example.org")
        ann.user.refresh_from_db()
        held, free = ann.dm(bob), ann.dm(cat)
        for conversation in (held, free):
            ann.say(conversation, "one")
            ann.say(conversation, "two")
        route()
        number = ids.parse_conversation(held)
        hold = holds.place_hold(actor=OFFICER, new=NewHold("7", "a letter", conversation=number))
        with django_capture_on_commit_callbacks(execute=True):
            erasure = erase(ann)
        route()
        assert (erasure.state, erasure.messages) == ("held", 2)
        assert (stored(held), stored(free)) == (["one", "two"], ["", ""])
        # Nobody sees a difference.
        assert bob.texts(held) == cat.texts(free) == ["", ""]
        assert [it.subject for it in mail.outbox][1:] == ["The deletion of your account takes longer"]
        assert "hold" not in mail.outbox[-1].body
        release(hold)
        work()
        assert (stored(held), Erasure.objects.get().state, Erasure.objects.get().messages) == (["", ""], "done", 4)

    def test_of_two_holds_each_lets_go_of_its_own(self, store: str, ann: Person, bob: Person, route: Route) -> None:  # noqa: F811
        dm = ann.dm(bob)
        numbers = [ids.parse_server_id(ann.say(dm, f"said {n}").json()["server_id"])[1] for n in range(4)]
        route()
        times = [ids.timestamp_ms(n) for n in numbers]
        assert len(set(times)) > 1 or times
        conversation = ids.parse_conversation(dm)
        first, second = (hold_on(conversation, numbers[n]) for n in (0, 2))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(erasures, "STEP", 2)
            kept = {n for n in range(4) if covered(conversation, numbers[n])}
            erase(ann)
            assert [text != "" for text in stored(dm)] == [n in kept for n in range(4)]
            release(second)
            work()
            kept = {n for n in range(4) if covered(conversation, numbers[n])}
            assert [text != "" for text in stored(dm)] == [n in kept for n in range(4)]
            assert kept
            release(first)
            work()
            assert stored(dm) == [""] * 4
            assert Erasure.objects.get().state == "done"

    def test_what_a_law_wants_kept_is_hidden_and_goes_when_its_time_is_over(
        self,
        ann: Person,  # noqa: F811
        bob: Person,  # noqa: F811
        route: Route,  # noqa: F811
    ) -> None:
        dm = ann.dm(bob)
        ann.say(dm, "a letter of business")
        route()
        duty = RetentionPolicy.objects.create(conversation_type="dm", min_days=10, note="a duty")
        assert erase(ann).state == "held"
        route()
        assert (stored(dm), bob.texts(dm)) == (["a letter of business"], [""])
        duty.delete()
        work()
        assert (stored(dm), Erasure.objects.get().state) == ([""], "done")

    def test_the_account_waits_for_a_hold_on_the_person(self, ann: Person, bob: Person, route: Route) -> None:  # noqa: F811
        dm = ann.dm(bob)
        ann.say(dm, "hello")
        route()
        hold = holds.place_hold(actor=OFFICER, new=NewHold("7", "a letter", user=ann.id))
        assert erase(ann).state == "held"
        assert stored(dm) == ["hello"]
        ann.user.refresh_from_db()
        assert (ann.user.username, ann.user.is_active) == ("ann", False)
        assert bob.get(f"users/{ann.ref}").json()["username"] == "deleted"
        release(hold)
        work()
        ann.user.refresh_from_db()
        assert ann.user.username.startswith("deleted_")
        assert stored(dm) == [""]
        entries = AuditEntry.objects.filter(object=ann.ref).order_by("seq").values_list("action", flat=True)
        assert list(entries) == ["erasure.requested", "erasure.begun", "erasure.held", "erasure.done"]


def hold_on(conversation: ConversationId, message: MessageId) -> Hold:
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(ids.timestamp_ms(message) / 1000, UTC)
    new = NewHold("7", "a letter", conversation=conversation, begins_at=moment, ends_at=moment)
    return holds.place_hold(actor=OFFICER, new=new)


def covered(conversation: ConversationId, message: MessageId) -> bool:
    return holds.held([conversation])[0][conversation].covers(message)


class TestCrashes:
    def test_it_goes_on_where_it_stopped(
        self,
        ann: Person,  # noqa: F811
        bob: Person,  # noqa: F811
        route: Route,  # noqa: F811
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(erasures, "STEP", 2)
        dm = ann.dm(bob)
        for n in range(5):
            ann.say(dm, f"said {n}")
        route()
        erasures.request_confirmed(user=ann.user)
        work(rounds=1)
        # No time at all, then a store that fails in the middle.
        due()
        erasures.go_on(until=time.monotonic() - 1)
        assert stored(dm) == [f"said {n}" for n in range(5)]
        messages = container.message_store()
        blank, calls = messages.blank, 0

        def failing(*args: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise OSError("the disk is full")
            blank(*args)

        monkeypatch.setattr(messages, "blank", failing)
        due()
        erasures.go_on(until=time.monotonic() + 60)
        erasure = Erasure.objects.get()
        assert (erasure.state, erasure.messages) == ("erasing", 1)
        assert erasure.next_at > timezone.now()
        work(rounds=1)
        route()
        assert (stored(dm), bob.texts(dm)) == ([""] * 5, [""] * 5)
        assert (Erasure.objects.get().state, Erasure.objects.get().messages) == ("done", 5)

    def test_where_the_log_is_away_nothing_goes_that_would_still_be_shown(
        self,
        ann: Person,  # noqa: F811
        bob: Person,  # noqa: F811
        route: Route,  # noqa: F811
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        dm = ann.dm(bob)
        ann.say(dm, "hello")
        route()
        erasures.request_confirmed(user=ann.user)
        work(rounds=1)

        async def away() -> None:
            raise LogUnavailable("away")

        with monkeypatch.context() as patch:
            patch.setattr(container.message_log(), "start", away)
            work(rounds=1)
            assert stored(dm) == ["hello"]
        work(rounds=1)
        assert stored(dm) == [""]


class TestByTheStaff:
    @pytest.fixture
    def officer(self, make_user: Any) -> Browser:
        user = make_user("olga", is_staff=True)
        user.groups.add(Group.objects.get(name=roles.OFFICER))
        browser = Browser()
        browser.force_login(user)
        return browser

    def test_an_account_is_erased_with_a_reason_and_no_row_is_deleted(
        self,
        officer: Browser,
        ann: Person,  # noqa: F811
        bob: Person,  # noqa: F811
        route: Route,  # noqa: F811
    ) -> None:
        dm = ann.dm(bob)
        ann.say(dm, "hello")
        route()
        page = f"/admin/accounts/user/{ann.user.pk}"
        assert "Erase this account" in officer.get(f"{page}/change/").content.decode()
        assert officer.post(f"{page}/erase/", {"reason": " ", "case": ""}).status_code == 200
        assert not Erasure.objects.exists()
        officer.post(f"{page}/erase/", {"reason": "the order of a court", "case": "2026-17"})
        work()
        assert (stored(dm), Erasure.objects.get().state) == ([""], "done")
        entry = AuditEntry.objects.get(action="erasure.ordered")
        assert (entry.object, entry.reason, entry.case) == (ann.ref, "the order of a court", "2026-17")
        listed = officer.get("/admin/rights/erasure/").content.decode()
        assert ann.ref in listed

    def test_a_hold_refuses_it_and_nothing_deletes_a_person(
        self,
        officer: Browser,
        ann: Person,  # noqa: F811
        make_user: Any,
    ) -> None:
        holds.place_hold(actor=OFFICER, new=NewHold("7", "a letter", user=ann.id))
        page = f"/admin/accounts/user/{ann.user.pk}"
        answer = officer.post(f"{page}/erase/", {"reason": "spring cleaning", "case": ""}, follow=True)
        assert "A legal hold is on this person" in answer.content.decode()
        assert not Erasure.objects.exists()
        root = Browser()
        root.force_login(make_user("root", is_staff=True, is_superuser=True))
        assert root.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
        data = {"action": "delete_selected", "_selected_action": [ann.user.pk], "post": "yes"}
        root.post("/admin/accounts/user/", data)
        assert User.objects.filter(pk=ann.user.pk).exists()

    def test_a_moderator_may_not(self, ann: Person, make_user: Any) -> None:  # noqa: F811
        user = make_user("meg", is_staff=True)
        user.groups.add(Group.objects.get(name=roles.MODERATOR))
        browser = Browser()
        browser.force_login(user)
        assert browser.post(f"/admin/accounts/user/{ann.user.pk}/erase/", {"reason": "x"}).status_code == 403
        assert browser.get("/admin/rights/erasure/").status_code == 403
        page = browser.get(f"/admin/accounts/user/{ann.user.pk}/change/").content.decode()
        assert "Erase this account" not in page
        assert "argon2" not in page, "what is stored of a password is nothing to look at"

    def test_signing_in_does_not_undo_what_the_staff_ordered(self, ann: Person) -> None:  # noqa: F811
        erasures.order(user=ann.user, actor=OFFICER, reason="the order of a court")
        assert not erasures.cancel(user=ann.user)
        assert Erasure.objects.get().state == "asked"


# --- numbers --------------------------------------------------------------------------------------


def number(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_what_is_due_ages_and_what_is_held_is_counted_apart(ann: Person, bob: Person, route: Route) -> None:  # noqa: F811
    before = {result: number("chat_erasures_total", result=result) for result in ("done", "held")}
    ann.say(ann.dm(bob), "hello")
    route()
    for one in (ann, bob):
        erasures.request_confirmed(user=one.user)
    erasures.measure()
    assert number("chat_erasures_waiting", state="asked") == 2
    assert number("chat_erasures_due_age_seconds") == 0, "in the time of grace"
    Erasure.objects.update(due_at=timezone.now() - timedelta(hours=5))
    erasures.measure()
    assert 5 * 3_600 <= number("chat_erasures_due_age_seconds") < 5 * 3_600 + 60
    holds.place_hold(actor=OFFICER, new=NewHold("17", "the court", user=ann.id))
    work()
    erasures.measure()
    assert {state: number("chat_erasures_waiting", state=state) for state in ("asked", "erasing", "held")} == {
        "asked": 0,
        "erasing": 0,
        # What Bob was sent is held with all of Ann's conversation, and his side of it is empty.
        "held": 1,
    }
    assert number("chat_erasures_due_age_seconds") == 0, "a hold is no delay"
    assert number("chat_erasures_total", result="done") == before["done"] + 1
    assert number("chat_erasures_total", result="held") > before["held"]


def test_a_step_that_fails_is_counted(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    erasures.request_confirmed(user=ann.user)
    work(rounds=1)
    before = number("chat_erasures_total", result="failed")

    def away(*args: Any, **kwargs: Any) -> Any:
        raise StoreUnavailable

    monkeypatch.setattr(type(container.conversation_store()), "places", away)
    work(rounds=1)
    assert number("chat_erasures_total", result="failed") == before + 1
    Erasure.objects.update(due_at=timezone.now() - timedelta(hours=1))
    erasures.measure()
    assert number("chat_erasures_due_age_seconds") >= 3_600
