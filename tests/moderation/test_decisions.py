"""What moderators decide, on the pages of the admin: who may, what follows, and what the audit log keeps of it."""

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from accounts.models import User
from messaging.compliance.models import AuditEntry
from messaging.domain import ids
from messaging.domain.errors import Conflict, InvalidInput, Unavailable
from messaging.moderation.models import Case, Sanction, Takedown
from messaging.moderation.services import decisions
from messaging.ports import LogUnavailable
from tests.api.conftest import Person, problem
from tests.moderation.conftest import Moderator

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


@pytest.fixture
def case(ann: Person, rude: tuple[str, str]) -> Case:
    """Ann reported what Bob said."""
    ann.post("reports", {"category": "harassment", "text": "He means it", "message": rude[1]})
    return Case.objects.get()


@pytest.fixture(autouse=True)
def at_once(django_capture_on_commit_callbacks: Any) -> Any:
    """What is done when the transaction ends is done at the end of each request."""
    return django_capture_on_commit_callbacks


def acts() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.order_by("seq").values_list("action", "reason"))


def taken(case: Case, by: Moderator) -> Case:
    assert by.act(case.pk, "claim").status_code == 302
    return Case.objects.get(pk=case.pk)


def withheld(case: Case, by: Moderator, at_once: Any) -> None:
    taken(case, by)
    with at_once(execute=True):
        assert by.decide(case.pk, "withheld", told="Insults are against rule 3.").status_code == 302


def test_what_was_reported_is_shown_to_whoever_took_the_case_and_that_is_kept(
    case: Case, meg: Moderator, moderator: Callable[..., Moderator]
) -> None:
    assert b"You are a potato" not in meg.page(f"case/{case.pk}/change/").content
    assert acts() == []
    assert meg.act(case.pk, "claim", reason=" ").status_code == 302
    assert Case.objects.get().assigned_to is None, "nobody takes one without saying why"
    taken(case, meg)
    assert b"You are a potato" in meg.page(f"case/{case.pk}/change/").content
    assert acts() == [("report.claimed", "to judge it"), ("content.viewed", "to judge it")]
    other = moderator("max")
    assert b"potato" not in other.page(f"case/{case.pk}/change/").content
    other.act(case.pk, "claim")
    assert Case.objects.get().assigned_to == meg.user, "who has it keeps it"


def test_who_may_only_look_on_can_do_nothing(case: Case, moderator: Callable[..., Moderator]) -> None:
    guest, nobody = moderator("guest", "view_case"), moderator("nobody", "view_takedown")
    assert guest.page(f"case/{case.pk}/change/").status_code == 200
    for name in ("claim", "release", "decide", "look"):
        assert guest.act(case.pk, name).status_code == 403
    assert nobody.page("case/").status_code == 403
    assert nobody.page(f"case/{case.pk}/change/").status_code == 403


def test_a_case_is_decided_by_whoever_has_it_with_a_reason(case: Case, meg: Moderator) -> None:
    meg.decide(case.pk, "dismissed")
    assert Case.objects.get().state == "open", "not taken"
    taken(case, meg)
    assert meg.decide(case.pk, "dismissed", reason=" ").status_code == 400
    assert meg.decide(case.pk, "withheld", told=" ").status_code == 400
    assert meg.decide(case.pk, "restored").status_code == 400
    assert meg.decide(case.pk, "dismissed", reason="A potato is no insult").status_code == 302
    decided = Case.objects.get()
    assert (decided.state, decided.outcome, decided.decided_by) == ("decided", "dismissed", meg.user)
    assert acts()[-1] == ("report.decided", "A potato is no insult")
    with pytest.raises(Conflict):
        decisions.decide(
            case_id=case.pk, moderator=meg.user, decision=decisions.Decision(Case.Outcome.DISMISSED, "again")
        )


def test_a_takedown_an_appeal_and_a_restore(
    case: Case, meg: Moderator, ann: Person, bob: Person, cat: Person, rude: tuple[str, str], route: Route, at_once: Any
) -> None:
    conv, message = rude
    withheld(case, meg, at_once)
    route()
    for reader in (ann, bob):
        shown = reader.get(f"messages/{message}").json()
        assert (shown["body"], shown["withheld"]) == ("", True)
    [notice] = bob.get("me/notices").json()["results"]
    assert (notice["kind"], notice["reason"], notice["appeal"]) == ("takedown", "Insults are against rule 3.", "none")
    assert ann.get("me/notices").json()["results"] == []
    # Only its author appeals, and once.
    for other in (ann, cat):
        problem(other.post(f"messages/{message}/appeal", {"text": "Let him"}), 404, "not_found")
    assert bob.post(f"messages/{message}/appeal", {"text": "It was a joke"}).status_code == 204
    problem(bob.post(f"messages/{message}/appeal", {"text": "Really"}), 409, "conflict")
    appeal = Case.objects.get(kind="appeal")
    taken(appeal, meg)
    assert b"It was a joke" in meg.page(f"case/{appeal.pk}/change/").content
    with at_once(execute=True):
        assert meg.decide(appeal.pk, "restored").status_code == 302
    route()
    assert ann.texts(conv) == ["Pardon?", "You are a potato", "Hello Bob"]
    assert bob.get("me/notices").json()["results"][0]["appeal"] == "restored"
    done = [action for action, _ in acts()]
    assert done.count("takedown.made") == done.count("takedown.lifted") == 1
    assert not any("potato" in str(entry.line()) for entry in AuditEntry.objects.all()), "no text in the audit log"


def test_who_is_given_back_what_was_appealed_has_no_case_left_and_may_appeal_again(
    case: Case, meg: Moderator, bob: Person, rude: tuple[str, str], at_once: Any
) -> None:
    withheld(case, meg, at_once)
    assert bob.post(f"messages/{rude[1]}/appeal", {"text": "It was a joke"}).status_code == 204
    page = "/admin/moderation/takedown/"
    chosen = {"action": "give_back", "_selected_action": Takedown.objects.get().pk}
    for unsaid in ({}, {"reason": " "}):
        assert b"Reason" in meg.browser.post(page, chosen | unsaid).content
        assert Case.objects.filter(kind="appeal", state="open").exists()
    assert meg.browser.post(page, {**chosen, "reason": "a joke"}).status_code == 302
    assert acts()[-1] == ("takedown.lifted", "a joke")
    assert [it.outcome for it in Case.objects.filter(kind="appeal")] == ["restored"]
    conversation_id, message_id = case.message
    decisions.take_down(conversation_id, message_id, moderator=meg.user, reason="rule 3", told="Insults.")
    assert bob.post(f"messages/{rude[1]}/appeal", {"text": "It was a joke"}).status_code == 204


def test_what_a_message_said_is_seen_with_a_reason(
    case: Case, meg: Moderator, bob: Person, rude: tuple[str, str], route: Route
) -> None:
    bob.patch(f"messages/{rude[1]}", {"msg_id": "6c1f3b52-6a80-4d0c-9df3-0f5a3d9d1c11", "body": "You are kind"})
    route()
    bob.delete(f"messages/{rude[1]}")
    route()
    assert meg.act(case.pk, "look", reason="edited since").status_code == 403, "not taken"
    taken(case, meg)
    assert b"You are kind" not in meg.act(case.pk, "look", reason="").content
    page = meg.act(case.pk, "look", reason="edited since").content
    assert page.index(b"You are a potato") < page.rindex(b"You are kind")
    assert ("content.viewed", "edited since") in acts()


def test_a_log_that_is_away_is_made_good(
    case: Case, meg: Moderator, ann: Person, rude: tuple[str, str], route: Route, at_once: Any, monkeypatch: Any
) -> None:
    from chatproject import container
    from messaging.services import send

    async def away(record: Any) -> Any:
        raise LogUnavailable

    monkeypatch.setattr(send, "DELIVERY_DEADLINE_S", 0.05)
    with monkeypatch.context() as broken:
        broken.setattr(container.message_log(), "append", away)
        withheld(case, meg, at_once)
        with pytest.raises(Unavailable):
            decisions.place_all()
    assert not Takedown.objects.get().placed
    assert REGISTRY.get_sample_value("chat_takedowns_unplaced") == 1
    assert decisions.place_all() == 1
    assert REGISTRY.get_sample_value("chat_takedowns_unplaced") == 0
    assert decisions.place_all() == 0
    route()
    assert ann.get(f"messages/{rude[1]}").json()["withheld"] is True


def test_a_warning_and_a_suspension_tell_why(case: Case, meg: Moderator, bob: Person, at_once: Any) -> None:
    taken(case, meg)
    with at_once(execute=True):
        assert meg.decide(case.pk, "suspended", told="Insults, again and again.").status_code == 302
    assert User.objects.get(pk=bob.id).is_suspended
    decisions.reinstate(bob.user, moderator=meg.user, reason="a mistake")
    assert not User.objects.get(pk=bob.id).is_suspended
    decisions.warn(bob.user, moderator=meg.user, reason="rule 3", told="Do not call people names.")
    notices = bob.get("me/notices").json()["results"]
    assert [(it["kind"], it["reason"], it["active"]) for it in notices] == [
        ("warning", "Do not call people names.", True),
        ("suspension", "Insults, again and again.", False),
    ]
    with pytest.raises(Conflict):
        decisions.reinstate(bob.user, moderator=meg.user, reason="again")
    with pytest.raises(InvalidInput):
        decisions.suspend(meg.user, moderator=meg.user, reason="x", told="x", until=None)
    assert Sanction.objects.count() == 2


def test_a_case_that_is_decided_is_looked_at_again_for_another_reason(
    case: Case, meg: Moderator, moderator: Callable[..., Moderator]
) -> None:
    taken(case, meg)
    meg.decide(case.pk, "dismissed")
    before = acts()
    page = meg.page(f"case/{case.pk}/change/").content
    assert b"potato" not in page
    assert b"Show it again" in page
    assert acts() == before
    assert moderator("max").act(case.pk, "look", reason="curious").status_code == 403
    assert b"potato" in meg.act(case.pk, "look", reason="the reporter asked again").content
    assert acts()[-1] == ("content.viewed", "the reporter asked again")


def test_who_reported_learns_whether_anything_followed_and_no_more(
    case: Case,
    meg: Moderator,
    ann: Person,
    bob: Person,
    at_once: Any,
    mailoutbox: list[Any],
    jobs_run_at_once: None,
) -> None:
    User.objects.filter(pk=ann.id).update(email="ann@example.org")
    [mine] = ann.get("me/reports").json()["results"]
    assert (mine["about"], mine["category"], mine["result"]) == ("message", "harassment", "open")
    assert bob.get("me/reports").json()["results"] == []
    taken(case, meg)
    with at_once(execute=True):
        meg.decide(case.pk, "suspended", told="Insults, again and again.")
    [mine] = ann.get("me/reports").json()["results"]
    assert (mine["result"], mine["decided_at"] is None) == ("acted", False)
    assert "Insults" not in str(mine)
    [mail] = [it for it in mailoutbox if it.to == ["ann@example.org"]]
    assert "and acted on it" in mail.body
    assert "suspen" not in mail.body


def test_a_suspension_is_lifted_from_the_list_for_a_reason(
    case: Case, meg: Moderator, bob: Person, at_once: Any
) -> None:
    taken(case, meg)
    with at_once(execute=True):
        meg.decide(case.pk, "suspended", told="Insults, again and again.")
    chosen = {"action": "reinstate", "_selected_action": Sanction.objects.get().pk}
    assert b"Lift suspensions" in meg.browser.post("/admin/moderation/sanction/", chosen).content
    assert User.objects.get(pk=bob.id).is_suspended
    said = {**chosen, "reason": "they are sorry"}
    assert meg.browser.post("/admin/moderation/sanction/", said).status_code == 302
    assert not User.objects.get(pk=bob.id).is_suspended
    assert acts()[-1] == ("user.reinstated", "they are sorry")


def test_nothing_is_done_that_the_audit_log_does_not_tell(
    case: Case, meg: Moderator, bob: Person, rude: tuple[str, str]
) -> None:
    with pytest.raises(InvalidInput):
        decisions.warn(bob.user, moderator=meg.user, reason=" ", told="Do not")
    assert not Sanction.objects.exists()


def test_the_page_of_a_takedown_says_what_it_is_about(ann: Person, rude: tuple[str, str], meg: Moderator) -> None:
    conversation, message = ids.parse_server_id(rude[1])
    takedown = decisions.take_down(conversation, message, moderator=meg.user, reason="rule 3", told="Insulting")
    page = meg.page(f"takedown/{takedown.pk}/change/").content.decode()
    assert rude[1] in page
    assert "On every device" in page
