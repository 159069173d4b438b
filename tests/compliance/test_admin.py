"""The pages of compliance: each role sees and does what it may, and each act is in the audit log with its reason."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from chatproject import container
from messaging.compliance import roles
from messaging.compliance.models import AuditEntry, Hold, Jurisdiction, RetentionPolicy
from messaging.domain.ids import UserId, conversation_ref, user_ref

pytestmark = pytest.mark.django_db
Staff = Callable[[str], Client]


@pytest.fixture
def staff(make_user: Callable[..., Any]) -> Staff:
    """Return ``staff(role)``: somebody of that role, signed in."""

    def make(role: str) -> Client:
        user = make_user(is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        return client

    return make


def placed(client: Client, **fields: str) -> Any:
    empty = {"user": "", "conversation": "", **{f"{end}_at_{part}": "" for end in ("begins", "ends") for part in "01"}}
    form = {"case": "2026-17", "reason": "letter of the court", **empty, **fields}
    return client.post("/admin/compliance/hold/add/", form)


def release(client: Client, hold: Hold, act: str, reason: str = "the case is closed") -> int:
    return client.post(f"/admin/compliance/hold/{hold.pk}/release/{act}/", {"reason": reason}).status_code


PAGES = ("auditentry", "auditcheckpoint", "hold", "retentionpolicy", "jurisdiction", "sweep")


@pytest.mark.parametrize(
    ("role", "seen"),
    [
        (roles.MODERATOR, set()),
        (roles.OPERATOR, {"sweep"}),
        (roles.AUDITOR, set(PAGES)),
        (roles.OFFICER, set(PAGES)),
    ],
)
def test_each_role_sees_its_pages(staff: Staff, role: str, seen: set[str]) -> None:
    client = staff(role)
    found = {page for page in PAGES if client.get(f"/admin/compliance/{page}/").status_code == 200}
    assert found == seen
    assert client.get("/admin/").status_code == 200


def test_an_operator_spreads_a_conversation_and_is_named_for_it(staff: Staff, make_user: Any, make_group: Any) -> None:
    id_ = make_group(make_user(), make_user()).id
    operator, ref = staff(roles.OPERATOR), conversation_ref(id_)
    url = "/admin/messaging/hotconversation/"
    assert b"None is spread" in operator.get(url).content
    form = {"conversation": ref, "k": "8", "reason": "the town hall is on Friday"}
    for wrong, told in (
        ({"reason": ""}, b"required"),
        ({"k": "32"}, b"less than or equal to 31"),
        ({"conversation": "c_x"}, b"no such conversation"),
        ({"conversation": conversation_ref(7)}, b"No such conversation"),
    ):
        assert told in operator.post(url, form | wrong).content
    for role in (roles.MODERATOR, roles.OFFICER, roles.AUDITOR):
        assert staff(role).get(url).status_code == staff(role).post(url, form).status_code == 403
    assert AuditEntry.objects.count() == 0
    assert container.conversation_store().spread() == {}
    assert operator.post(url, form).status_code == 302
    assert ref.encode() in operator.get(url).content
    assert operator.post(url, form | {"k": "1", "reason": "it is over"}).status_code == 302
    assert container.conversation_store().spread() == {}
    entries = [(it.action, it.object, it.reason, it.details) for it in AuditEntry.objects.order_by("seq")]
    assert entries == [
        ("conversation.spread", ref, "the town hall is on Friday", {"from": 1, "to": 8}),
        ("conversation.spread", ref, "it is over", {"from": 8, "to": 1}),
    ]
    assert all(it.actor.startswith("u_") for it in AuditEntry.objects.all())


def test_an_auditor_changes_nothing(staff: Staff, make_user: Callable[..., Any]) -> None:
    hold = _hold(staff, make_user)
    auditor = staff(roles.AUDITOR)
    assert placed(auditor, user=user_ref(5)).status_code == 403
    assert release(auditor, hold, "request") == 403
    assert auditor.get(f"/admin/compliance/hold/{hold.pk}/change/").status_code == 200
    assert auditor.post("/admin/compliance/retentionpolicy/add/", {"max_days": 5}).status_code == 403
    assert [entry.action for entry in AuditEntry.objects.all()] == ["hold.placed"]


def _hold(staff: Staff, make_user: Callable[..., Any]) -> Hold:
    assert placed(staff(roles.OFFICER), user=make_user("zoe").username).status_code == 302
    return Hold.objects.get()


def test_two_officers_release_a_hold(staff: Staff, make_user: Callable[..., Any]) -> None:
    hold = _hold(staff, make_user)
    one, other = staff(roles.OFFICER), staff(roles.OFFICER)
    assert b"Ask for its release" in one.get(f"/admin/compliance/hold/{hold.pk}/change/").content
    assert release(one, hold, "request", reason="") == 200
    assert release(one, hold, "request") == 302
    page = one.get(f"/admin/compliance/hold/{hold.pk}/change/").content
    assert b"Agree to its release" not in page
    assert b"Let it stand" in page
    assert release(one, hold, "approve") == 302
    hold.refresh_from_db()
    assert hold.released_at is None
    assert release(other, hold, "approve") == 302
    hold.refresh_from_db()
    assert hold.released_at is not None
    assert b"Ask for its release" not in one.get(f"/admin/compliance/hold/{hold.pk}/change/").content
    said = [(entry.action, entry.reason) for entry in AuditEntry.objects.order_by("seq")]
    closed = "the case is closed"
    assert said == [
        ("hold.placed", "letter of the court"),
        ("hold.release_requested", closed),
        ("hold.released", closed),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"user": "nobody"},
        {"conversation": "c_x"},
        {"case": "", "user": "zoe"},
        {"reason": "", "user": "zoe"},
        {"user": "zoe", "conversation": conversation_ref(5)},
    ],
)
def test_a_hold_that_makes_no_sense_is_refused(
    staff: Staff, make_user: Callable[..., Any], fields: dict[str, str]
) -> None:
    make_user("zoe")
    assert placed(staff(roles.OFFICER), **fields).status_code in (200, 302)
    assert not Hold.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_policy_is_made_changed_and_deleted_with_a_reason(staff: Staff) -> None:
    officer, base = staff(roles.OFFICER), "/admin/compliance/retentionpolicy"
    form = {"jurisdiction": "DE", "conversation_type": "", "min_days": "", "max_days": "90", "note": "a law"}
    assert officer.post(f"{base}/add/", form).status_code == 200
    assert officer.post(f"{base}/add/", {**form, "max_days": "", "reason": "x"}).status_code == 200
    assert not RetentionPolicy.objects.exists()
    assert officer.post(f"{base}/add/", {**form, "reason": "new law"}).status_code == 302
    policy = RetentionPolicy.objects.get()
    assert officer.post(f"{base}/{policy.pk}/change/", {**form, "max_days": "30", "reason": "newer"}).status_code == 302
    assert officer.post(f"{base}/{policy.pk}/delete/", {"post": "yes"}).status_code == 302
    assert RetentionPolicy.objects.exists()
    assert officer.post(f"{base}/{policy.pk}/delete/", {"post": "yes", "reason": "repealed"}).status_code == 302
    entries = list(AuditEntry.objects.order_by("seq"))
    assert [entry.action for entry in entries] == ["policy.created", "policy.changed", "policy.deleted"]
    assert entries[1].details["before"]["max_days"] == 90
    assert entries[1].details["after"]["max_days"] == 30


def test_a_jurisdiction_is_of_one_user_or_conversation(staff: Staff, make_user: Callable[..., Any]) -> None:
    officer, user, url = staff(roles.OFFICER), make_user("zoe"), "/admin/compliance/jurisdiction/add/"
    for both in ({"user": "", "conversation": ""}, {"user": "zoe", "conversation": conversation_ref(5)}):
        assert officer.post(url, {"code": "DE", "reason": "x", **both}).status_code == 200
    assert officer.post(url, {"code": "de", "reason": "x", "user": "zoe", "conversation": ""}).status_code == 200
    assert officer.post(url, {"code": "DE", "reason": "x", "user": "zoe", "conversation": ""}).status_code == 302
    assert Jurisdiction.objects.get().user_id == user.pk
    assert AuditEntry.objects.get().details["after"] == {"code": "DE", "of": user_ref(UserId(user.pk))}
    page = f"/admin/compliance/jurisdiction/{Jurisdiction.objects.get().pk}/change/"
    assert b"@zoe" in officer.get(page).content
    assert officer.post(page, {"code": "FR", "reason": "she moved"}).status_code == 302
    assert Jurisdiction.objects.get().code == "FR"


def test_the_log_is_searched_by_whole_ids(staff: Staff, make_user: Callable[..., Any]) -> None:
    hold = _hold(staff, make_user)
    auditor = staff(roles.AUDITOR)
    for words, count in ((f"hold/{hold.pk}", 1), ("2026-17", 1), ("2026", 0), ("court", 1)):
        page = auditor.get("/admin/compliance/auditentry/", {"q": words})
        assert page.context["cl"].result_count == count, words
