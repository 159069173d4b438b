"""What members bring to the moderators: only what they can see, once, and as it was."""

from collections.abc import Callable
from typing import Any

import pytest

from messaging.moderation.models import Case, Report
from tests.api.conftest import Person, problem

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


def report(person: Person, **what: Any) -> Any:
    return person.post("reports", {"category": "harassment", "text": "He means it", **what})


def context(case: Case | None = None) -> list[tuple[str, bool]]:
    [kept] = Report.objects.all() if case is None else case.reports.all()
    return [(it["body"], it["reported"]) for it in kept.context if it["kind"] == "text"]


def test_a_message_is_kept_with_what_stood_around_it(
    ann: Person, bob: Person, rude: tuple[str, str], route: Route
) -> None:
    conv, message = rude
    answer = report(ann, message=message)
    assert answer.status_code == 201
    assert answer.json()["block"] == bob.ref, "whom one may want to block as well"
    bob.delete(f"messages/{message}")
    route()
    assert ann.texts(conv) == ["Pardon?", "", "Hello Bob"]
    assert context() == [("Hello Bob", False), ("You are a potato", True), ("Pardon?", False)]
    case = Case.objects.get()
    assert (case.kind, case.subject, case.accused_id, case.state) == ("message", message, bob.id, "open")
    [kept] = case.reports.all()
    assert (kept.category, kept.text) == ("harassment", "He means it")
    assert [it["username"] for it in kept.context if it["reported"]] == ["bob"]


def test_reports_of_one_thing_make_one_case_and_one_report_a_person(
    ann: Person, bob: Person, cat: Person, route: Route
) -> None:
    conv = bob.group(ann, cat)
    route()
    message = bob.say(conv, "spam").json()["server_id"]
    route()
    first = report(ann, message=message).json()["id"]
    assert report(ann, message=message).json()["id"] == first
    assert report(cat, message=message).json()["id"] != first
    assert Case.objects.get().reports.count() == 2


def test_what_one_cannot_see_cannot_be_reported(ann: Person, bob: Person, cat: Person, rude: tuple[str, str]) -> None:
    conv, message = rude
    problem(report(cat, message=message), 404, "not_found")
    problem(report(cat, conversation=conv), 404, "not_found")
    problem(report(ann, message="m_" + "A" * 22), 404, "not_found")
    problem(report(ann, user="u_AAAAAAAAAAE"), 404, "not_found")
    assert not Case.objects.exists()


def test_who_joined_later_keeps_nothing_of_before(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    conv = ann.group(bob)
    ann.say(conv, "before Cat came")
    route()
    ann.post(f"conversations/{conv}/members", {"members": [cat.ref]})
    route()
    message = bob.say(conv, "You are a potato").json()["server_id"]
    route()
    assert report(cat, message=message).status_code == 201
    assert context() == [("You are a potato", True)]


def test_a_conversation_and_a_person_can_be_reported(ann: Person, bob: Person, rude: tuple[str, str]) -> None:
    conv, _ = rude
    assert report(ann, conversation=conv).json()["block"] is None
    assert report(ann, user=bob.ref).json()["block"] == bob.ref
    by_kind = {case.kind: case for case in Case.objects.all()}
    assert [text for text, _ in context(by_kind["conversation"])] == ["Hello Bob", "You are a potato", "Pardon?"]
    assert by_kind["user"].reports.get().context[0]["username"] == "bob"


@pytest.mark.parametrize(
    "what",
    [{}, {"user": "u_AAAAAAAAAAE", "conversation": "c_AAAAAAAAAAE"}, {"user": "u_AAAAAAAAAAE", "category": "boring"}],
)
def test_a_report_is_of_one_thing_for_one_reason(ann: Person, what: dict[str, str]) -> None:
    problem(report(ann, **what), 400, "invalid")


def test_nobody_reports_themselves(ann: Person, bob: Person, rude: tuple[str, str]) -> None:
    problem(report(bob, message=rude[1]), 400, "invalid")
    problem(report(bob, user=bob.ref), 400, "invalid")


def test_reports_are_few(ann: Person, bob: Person, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from messaging.moderation.api.views import ReportThrottle

    monkeypatch.setattr(ReportThrottle, "rate", "2/hour", raising=False)
    assert [report(ann, user=bob.ref).status_code for _ in range(3)] == [201, 201, 429]
