"""Rules for texts: what each kind means, and that both doors ask before anything is in the log."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError

from chatproject import container
from messaging.compliance.models import AuditEntry
from messaging.domain.errors import NotAccepted
from messaging.domain.ids import UserId
from messaging.moderation import limits
from messaging.moderation.models import Case, FilterRule
from messaging.moderation.rules import Flood, LinkList, WordList
from messaging.moderation.screening import RuleScreener
from messaging.ports import Draft
from tests.api.conftest import Person, problem
from tests.moderation.conftest import Moderator


def draft(body: str, sender: int = 7, msg_id: bytes | None = None) -> Draft:
    return Draft(UserId(sender), msg_id or uuid4().bytes, body)


@pytest.mark.parametrize(
    ("body", "matches"),
    [
        ("You POTATO!", True),
        ("ｐｏｔａｔｏ", True),
        ("po\u00adta\u200bto", True),
        ("one potato,two", True),
        ("potatoes", False),
        ("cheap  watches\nhere", True),
        ("a+b", True),
        ("aab", False),
        ("", False),
    ],
)
def test_words_are_whole_and_however_they_look(body: str, matches: bool) -> None:
    assert WordList("# vegetables\npotato\n\nCheap watches\na+b").matches(draft(body)) is matches


@pytest.mark.parametrize(
    ("body", "matches"),
    [
        ("see https://bad.example/x?y", True),
        ("BAD.example", True),
        ("http://www.bad.example.", True),
        ("https://notbad.example", False),
        ("https://bad.example.org", False),
        ("bad example", False),
    ],
)
def test_a_domain_is_meant_with_all_below_it(body: str, matches: bool) -> None:
    assert LinkList("bad.example").matches(draft(body)) is matches


@pytest.mark.parametrize(
    ("kind", "config"), [(WordList, "# nothing"), (LinkList, "not a domain"), (Flood, "often"), (Flood, "1 in 60")]
)
def test_what_cannot_be_meant_is_refused(kind: Callable[[str], Any], config: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        kind(config)


def test_a_flood_is_the_same_text_of_one_person_again_and_again() -> None:
    rule = Flood("3 in 60")
    again = draft("Buy now")
    assert [rule.matches(it) for it in (again, again, again)] == [False, False, False], "one message, sent again"
    assert [rule.matches(draft(it)) for it in ("buy  NOW", "Something else", "Buy now")] == [False, False, True]
    assert rule.matches(draft("Buy now", sender=8)) is False


def test_long_texts_do_not_take_long() -> None:
    """A hundred kilobytes against a thousand words: far from what would be noticed."""
    import time

    rules = [WordList("\n".join(f"word{n}" for n in range(1_000))), LinkList("bad.example")]
    started = time.process_time()
    for body in ("word " * 20_000, "a." * 50_000, "a-" * 50_000, "a" * 100_000):
        assert [rule.matches(draft(body)) for rule in rules] == [False, False]
    assert time.process_time() - started < 4


@pytest.fixture
def rule(db: None) -> Callable[..., FilterRule]:
    def make(outcome: str, config: str = "potato", kind: str = "words") -> FilterRule:
        return FilterRule.objects.create(name=f"{kind} {outcome}", kind=kind, config=config, outcome=outcome)

    return make


@pytest.mark.django_db
def test_a_text_that_a_rule_refuses_is_nowhere(ann: Person, bob: Person, rule: Any, route: Callable[[], None]) -> None:
    conv = ann.dm(bob)
    said = ann.say(conv, "A carrot").json()["server_id"]
    route()
    rule("refuse")
    container.screener().refresh()
    problem(ann.say(conv, "A potato"), 403, "not_accepted")
    edit = {"msg_id": str(uuid4()), "body": "A potato"}
    problem(ann.patch(f"messages/{said}", edit), 403, "not_accepted")
    route()
    assert bob.texts(conv) == ["A carrot"]
    FilterRule.objects.all().first().delete()
    container.screener().refresh()
    assert ann.say(conv, "A potato").status_code == 201


@pytest.mark.django_db
def test_while_the_database_is_away_the_rules_of_before_hold(
    rule: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away() -> None:
        raise OperationalError("PostgreSQL is away")

    screener = RuleScreener()
    with monkeypatch.context() as patch:
        patch.setattr(limits, "limited", away)
        # Nobody knows yet what is refused.
        with pytest.raises(OperationalError):
            screener.refresh()
    rule(FilterRule.Outcome.REFUSE)
    screener.refresh()
    monkeypatch.setattr(limits, "limited", away)
    screener.refresh()
    with pytest.raises(NotAccepted):
        screener.screen(draft("potato"))
    assert "stay in force" in caplog.text


@pytest.mark.django_db
def test_a_text_that_a_rule_flags_is_sent_and_in_the_queue(
    ann: Person, bob: Person, rule: Any, meg: Moderator, route: Callable[[], None]
) -> None:
    conv = ann.dm(bob)
    rule("flag")
    container.screener().refresh()
    said = ann.say(conv, "A potato").json()["server_id"]
    route()
    assert bob.texts(conv) == ["A potato"]
    case = Case.objects.get()
    assert (case.kind, case.subject, case.accused_id) == ("message", said, ann.id)
    meg.act(case.pk, "claim")
    page = meg.page(f"case/{case.pk}/change/").content.decode()
    assert "words flag" in page
    assert "A potato" in page


@pytest.mark.django_db
def test_a_rule_is_changed_with_a_reason_that_is_kept(moderator: Callable[..., Moderator]) -> None:
    max_ = moderator("max", "add_filterrule", "change_filterrule", "view_filterrule")
    fields = {"name": "Roots", "kind": "flood", "config": "often", "outcome": "refuse", "enabled": "on", "reason": "x"}
    add = "/admin/moderation/filterrule/add/"
    assert "Write a number of times" in max_.browser.post(add, fields).content.decode()
    assert max_.browser.post(add, {**fields, "config": "5 in 60", "reason": ""}).status_code == 200
    assert not FilterRule.objects.exists()
    assert max_.browser.post(add, {**fields, "config": "5 in 60"}).status_code == 302
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason, entry.object) == (
        "filter.changed",
        "x",
        f"filter/{FilterRule.objects.get().pk}",
    )
