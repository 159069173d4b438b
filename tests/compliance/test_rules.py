"""Which of several retention rules holds."""

from datetime import timedelta

import pytest

from messaging.compliance.rules import Policy, Rule, rule_for

DE_KEEPS = Policy("DE", "", 365, None)
US_DELETES = Policy("US", "", None, 90)
ALL_DELETE = Policy("", "", None, 3_650)
DMS_DELETE = Policy("", "dm", None, 30)


def days(hidden: int | None, deleted: int | None) -> Rule:
    return Rule(*(None if number is None else timedelta(days=number) for number in (hidden, deleted)))


@pytest.mark.parametrize(
    ("policies", "codes", "kind", "timer_days", "rule"),
    [
        ([], {"DE"}, "dm", None, days(None, None)),
        ([DE_KEEPS], {"DE"}, "dm", None, days(None, None)),
        ([ALL_DELETE], {""}, "dm", None, days(3_650, 3_650)),
        ([ALL_DELETE, DMS_DELETE], {"DE"}, "dm", None, days(30, 30)),
        ([ALL_DELETE, DMS_DELETE], {"DE"}, "group_small", None, days(3_650, 3_650)),
        ([US_DELETES], {"DE"}, "dm", None, days(None, None)),
        ([US_DELETES], {"US-CA"}, "dm", None, days(90, 90)),
        ([US_DELETES], {"USX"}, "dm", None, days(None, None)),
        # A timer of the members counts like a law that wants deletion …
        ([], set(), "dm", 7, days(7, 7)),
        ([US_DELETES], {"US"}, "dm", 7, days(7, 7)),
        ([US_DELETES], {"US"}, "dm", 365, days(90, 90)),
        # … and a duty to keep goes before either: hidden in time, deleted when the duty ends.
        ([DE_KEEPS], {"DE"}, "dm", 7, days(7, 365)),
        ([DE_KEEPS, US_DELETES], {"DE", "US"}, "dm", None, days(90, 365)),
        ([DE_KEEPS, ALL_DELETE], {"DE"}, "dm", None, days(3_650, 3_650)),
    ],
)
def test_the_shortest_end_hides_and_the_longest_duty_keeps(
    policies: list[Policy], codes: set[str], kind: str, timer_days: int | None, rule: Rule
) -> None:
    timer_s = None if timer_days is None else timer_days * 86_400
    assert rule_for(policies, jurisdictions=codes, conversation_type=kind, timer_s=timer_s) == rule
    assert rule_for(policies[::-1], jurisdictions=codes, conversation_type=kind, timer_s=timer_s) == rule
