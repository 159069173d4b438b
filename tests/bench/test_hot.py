"""The scenario ``hot``: whose message is whose."""

from argparse import Namespace

import pytest

from bench.scenarios import SCENARIOS, is_of_group


@pytest.mark.parametrize(("rate", "hot_rate"), [(200.0, 200.0), (200.0, 600.0), (300.0, 100.0), (100.0, 0.0)])
def test_the_group_has_its_share_of_the_messages_evenly_among_the_others(rate: float, hot_rate: float) -> None:
    args = Namespace(pairs=30, rate=rate, members=5, hot_rate=hot_rate, k=8)
    layout = SCENARIOS["hot"].layout(args)
    assert layout.hot == {30: 8}
    written = [conversation for _, conversation in layout.writers]
    assert [conversation == 30 for conversation in written] == [is_of_group(n, args) for n in range(len(written))]
    assert written.count(30) == pytest.approx(len(written) * hot_rate / (rate + hot_rate), abs=1)
    assert sorted({conversation for conversation in written if conversation != 30}) == list(range(30))
    members = [set(it) for it in layout.conversations]
    assert all(account in members[conversation] for account, conversation in layout.writers)
    # Repeated, as it is, the pairs' share stays what it is.
    half = written[: len(written) // 2]
    assert half.count(30) == pytest.approx(written.count(30) / 2, abs=2)
