"""The front page of the staff, the pages of people and conversations: who sees what, and what needs a reason."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from messaging.compliance import holds, roles
from messaging.compliance.holds import NewHold
from messaging.compliance.models import AuditEntry, Hold, RetentionPolicy, Sweep
from messaging.domain.ids import ConversationId, UserId, conversation_ref, parse_conversation, user_ref
from messaging.rights import erasures
from tests.api.conftest import Person, ann, bob, cat, person, route  # noqa: F401  # fixtures
from tests.compliance.test_admin import Staff, staff  # noqa: F401  # a fixture

pytestmark = pytest.mark.django_db
OFFICER = UserId(1)


def entries() -> list[tuple[str, str, str, Any]]:
    return [(it.action, it.object, it.reason, it.details) for it in AuditEntry.objects.order_by("seq")]


CONVERSATIONS = "/admin/messaging/conversationrecord/"


def test_a_conversation_shows_facts_and_for_a_reason_its_members(
    store: str,
    staff: Staff,  # noqa: F811
    ann: Person,  # noqa: F811
    bob: Person,  # noqa: F811
    cat: Person,  # noqa: F811
    route: Callable[[], None],  # noqa: F811
) -> None:
    group = ann.group(bob, cat)
    ann.patch(f"conversations/{group}", {"name": "Secret plans"})
    ann.say(group, "hello")
    route()
    RetentionPolicy.objects.create(max_days=90, note="a rule")
    officer = staff(roles.OFFICER)
    found = officer.get(CONVERSATIONS, {"conversation": group})
    page = f"{CONVERSATIONS}{group}/"
    assert (found.status_code, found.headers["Location"]) == (302, page)
    shown = officer.get(page).content.decode()
    assert "small group" in shown
    assert "90 days" in shown
    assert "nothing" in shown, "of it is held"
    for private in ("Secret plans", "@bob", bob.ref, "hello"):
        assert private not in shown
    assert "Secret plans" not in officer.post(page, {"reason": " "}).content.decode()
    assert entries() == []
    shown = officer.post(page, {"reason": "case 2026-17"}).content.decode()
    assert "Secret plans" in shown
    assert all(it.ref in shown for it in (ann, bob, cat))
    assert "hello" not in shown
    assert entries() == [("content.viewed", group, "case 2026-17", {"what": "name and members"})]


def test_the_conversations_of_a_person_are_listed_for_a_reason(
    store: str,
    staff: Staff,  # noqa: F811
    ann: Person,  # noqa: F811
    bob: Person,  # noqa: F811
    cat: Person,  # noqa: F811
    route: Callable[[], None],  # noqa: F811
) -> None:
    dm, left, other = ann.dm(bob), bob.group(ann, cat), bob.dm(cat)
    route()
    ann.delete(f"conversations/{left}/members/{ann.ref}")
    route()
    officer = staff(roles.OFFICER)
    assert dm not in officer.post(CONVERSATIONS, {"user": "ann", "reason": ""}).content.decode()
    assert entries() == []
    shown = officer.post(CONVERSATIONS, {"user": "ann", "reason": "her lawyer asks"}).content.decode()
    assert dm in shown
    assert left in shown, "also those one has left"
    assert other not in shown
    assert entries() == [("content.viewed", ann.ref, "her lawyer asks", {"what": "conversations"})]


@pytest.mark.parametrize(
    ("role", "facts"),
    [(roles.MODERATOR, 200), (roles.OPERATOR, 200), (roles.AUDITOR, 403)],
)
def test_others_see_facts_at_most(
    staff: Staff,  # noqa: F811
    ann: Person,  # noqa: F811
    bob: Person,  # noqa: F811
    role: str,
    facts: int,
) -> None:
    dm, client = ann.dm(bob), staff(role)
    page = f"{CONVERSATIONS}{dm}/"
    holds.place_hold(actor=OFFICER, new=NewHold("17", "the court", conversation=parse_conversation(dm)))
    before = entries()
    found = client.get(page)
    assert found.status_code == facts
    assert b"Under legal hold" not in found.content, "only who may know of holds does"
    if facts == 200:
        assert b"Under legal hold" in staff(roles.OFFICER).get(page).content
    assert client.post(page, {"reason": "curious"}).status_code == 403
    assert client.post(CONVERSATIONS, {"user": "ann", "reason": "curious"}).status_code == 403
    assert entries() == before


def test_there_is_no_page_of_what_is_not_there(staff: Staff) -> None:  # noqa: F811
    officer = staff(roles.OFFICER)
    for ref in ("c_x", conversation_ref(ConversationId(5)), "add", "5"):
        answer = officer.get(f"{CONVERSATIONS}{ref}/", follow=True)
        assert b"There is no such conversation" in answer.content, ref


def test_the_front_page_tells_each_role_its_own(
    staff: Staff,  # noqa: F811
    ann: Person,  # noqa: F811
) -> None:
    labels = {
        role: {fact.label for fact in staff(role).get("/admin/").context["facts"]}
        for role in (roles.MODERATOR, roles.OFFICER, roles.AUDITOR, roles.OPERATOR)
    }
    assert labels == {
        roles.MODERATOR: {"Cases", "Takedowns"},
        roles.OFFICER: {
            *("Legal holds", "Releases of holds", "Exports", "Last sweep", "Audit log", "Checkpoints", "Erasures"),
        },
        roles.AUDITOR: {"Legal holds", "Exports", "Last sweep", "Audit log", "Checkpoints", "Erasures"},
        roles.OPERATOR: {"Last sweep", "Pushes", "Pushes that failed", "Jobs", "Hot conversations"},
    }


def test_who_asked_for_a_release_is_not_told_to_answer_it(staff: Staff) -> None:  # noqa: F811
    one, other = staff(roles.OFFICER), staff(roles.OFFICER)
    hold = holds.place_hold(actor=OFFICER, new=NewHold("17", "the court", conversation=ConversationId(5)))
    one.post(f"/admin/compliance/hold/{hold.pk}/release/request/", {"reason": "closed"})

    def told(client: Client) -> tuple[str, bool]:
        [fact] = [it for it in client.get("/admin/").context["facts"] if it.label == "Releases of holds"]
        return fact.text, fact.urgent

    assert told(one) == ("none to answer", False)
    assert told(other) == ("1 waits for your answer", True)
    assert b"Another officer has to agree" in one.get(f"/admin/compliance/hold/{hold.pk}/change/").content
    lists = {state: other.get("/admin/compliance/hold/", {"state": state}) for state in ("held", "asked", "released")}
    assert {state: it.context["cl"].result_count for state, it in lists.items()} == {
        "held": 1,
        "asked": 1,
        "released": 0,
    }


def test_the_page_of_a_person_says_what_there_is(
    staff: Staff,  # noqa: F811
    ann: Person,  # noqa: F811
) -> None:
    holds.place_hold(actor=OFFICER, new=NewHold("2026-17", "the court", user=ann.id))
    erasures.request_confirmed(user=ann.user)
    page = f"/admin/accounts/user/{ann.user.pk}/change/"
    facts = {role: staff(role).get(page).context["facts"] for role in (roles.OFFICER, roles.MODERATOR, roles.OPERATOR)}
    assert {it.label for it in facts[roles.OFFICER]} == {"Legal hold", "Erasure"}
    assert {it.label for it in facts[roles.MODERATOR]} == set(), "a moderator learns of no hold"
    assert {it.label for it in facts[roles.OPERATOR]} == {"Signed in", "Notifications"}


def test_what_would_go_is_shown_and_nothing_is_changed(
    staff: Staff,  # noqa: F811
    ann: Person,  # noqa: F811
    bob: Person,  # noqa: F811
    route: Callable[[], None],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dm = ann.dm(bob)
    ann.say(dm, "hello")
    route()
    RetentionPolicy.objects.create(max_days=30, note="a rule")
    later = timezone.now() + timedelta(days=40)
    monkeypatch.setattr("messaging.compliance.admin.timezone.now", lambda: later)
    page = staff(roles.AUDITOR).get("/admin/compliance/sweep/preview/")
    # What was said, and that the conversation was begun.
    assert (page.context["counts"].due, page.context["counts"].deleted) == (2, 2)
    assert dm in page.content.decode()
    assert not Sweep.objects.exists()
    assert ann.texts(dm) == ["hello"]
    assert staff(roles.MODERATOR).get("/admin/compliance/sweep/preview/").status_code == 403
    monkeypatch.setattr("messaging.compliance.admin._PREVIEW_S", 0.0)
    assert "not all of them" in staff(roles.AUDITOR).get("/admin/compliance/sweep/preview/").content.decode()


def test_the_staff_are_named_where_the_log_has_ids(staff: Staff, ann: Person) -> None:  # noqa: F811
    officer = staff(roles.OFFICER)
    form = {"case": "17", "user": "ann", "conversation": "", "reason": "the court"}
    times = {f"{end}_at_{part}": "" for end in ("begins", "ends") for part in "01"}
    assert officer.post("/admin/compliance/hold/add/", {**form, **times}).status_code == 302
    hold = Hold.objects.get()
    assert "@ann" in officer.get("/admin/compliance/hold/").content.decode()
    assert "@ann" in (shown := officer.get(f"/admin/compliance/hold/{hold.pk}/change/").content.decode())
    assert user_ref(ann.id) in shown
    entry = AuditEntry.objects.get()
    shown = officer.get(f"/admin/compliance/auditentry/{entry.pk}/change/").content.decode()
    assert entry.actor in shown
    assert "the court" in shown
