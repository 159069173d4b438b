"""The check of a run: each fault is found in a made-up record, and a good record has none."""

import pytest

from bench.record import NOT_OURS, Received, Record, Sent, Verdict, chain_of, check, places
from messaging.domain.ids import OFFSET_BITS, TIME_SHIFT, server_id

CONV = "c_1"
#: The writer's device, and the others of the conversation.
WRITER, FIRST, SECOND = 0, 1, 2
MEMBERS = {CONV: [WRITER, FIRST, SECOND]}
MS = 1_000_000


def sid(number: int, chain: int = 0) -> str:
    return server_id(1, (number + 1) << TIME_SHIFT | chain << OFFSET_BITS)


class Story:
    """A record in the making: messages 0, 1, 2 … of one conversation, each due at its number in ms."""

    def __init__(self, messages: int) -> None:
        self.record = Record()
        for number in range(messages):
            self.record.sent[number] = Sent(WRITER, CONV, number * MS, number * MS)
            self.record.acked[number] = (number + 1) * MS

    def got(self, device: int, *numbers: int, after_ms: int = 5, batch: int = 0) -> "Story":
        """Let a device get messages in this order."""
        for number in numbers:
            self.named(device, sid(number), number, after_ms=after_ms, batch=batch)
        return self

    def named(self, device: int, server_id: str, number: int, *, after_ms: int = 5, batch: int = 0) -> None:
        """Let a device get a message under this id."""
        index = self.record.index_of(server_id)
        if index is None:
            prev = sid(number - 1) if number > 0 else None
            index = self.record.add(Received(server_id, prev, CONV, number, number))
        self.record.deliver(device=device, message=index, at=(number + after_ms) * MS, batch=batch)

    def verdict(self, *, untimed: range = range(0)) -> Verdict:
        return check([self.record], members=MEMBERS, untimed=untimed)


def everybody(messages: int) -> Story:
    story = Story(messages)
    for device in MEMBERS[CONV]:
        story.got(device, *range(messages))
    return story


def faults(verdict: Verdict) -> tuple[int, int, int]:
    return verdict.lost, verdict.duplicates, verdict.out_of_order


def test_a_good_record_has_no_fault_and_counts_the_others_devices_only() -> None:
    verdict = everybody(3).verdict()
    assert faults(verdict) == (0, 0, 0)
    assert (verdict.sent, verdict.acked, verdict.unanswered, verdict.delivered, verdict.repeats) == (3, 3, 0, 6, 0)
    assert verdict.deliver_due == [5 * MS] * 6
    assert verdict.ack_due == [1 * MS] * 3
    assert verdict.to_all_due == [5 * MS] * 3
    # The last ack at 3 ms, the last delivery at 2 + 5 ms.
    assert (verdict.window, verdict.delivery_window) == (3 * MS, 7 * MS)


def test_an_acked_message_that_one_device_lacks_is_lost() -> None:
    story = Story(3).got(WRITER, 0, 1, 2).got(FIRST, 0, 1, 2).got(SECOND, 0, 2)
    verdict = story.verdict()
    assert faults(verdict) == (1, 0, 0)
    assert verdict.missing == 1
    # What not everybody got has no time to all.
    assert len(verdict.to_all_due) == 2


def test_what_the_sender_alone_lacks_is_not_lost() -> None:
    assert faults(Story(2).got(FIRST, 0, 1).got(SECOND, 0, 1).verdict()) == (0, 0, 0)


def test_a_message_without_an_ack_was_not_promised() -> None:
    story = everybody(1)
    story.record.sent[1] = Sent(WRITER, CONV, MS, MS)
    story.record.sent[2] = Sent(WRITER, CONV, MS, MS)
    story.record.refused[2] = "rate_limited"
    verdict = story.verdict()
    assert faults(verdict) == (0, 0, 0)
    assert (verdict.unanswered, verdict.refused) == (1, {"rate_limited": 1})


def test_one_message_under_two_ids_is_a_duplicate() -> None:
    story = everybody(2)
    story.named(FIRST, sid(99), 1)
    assert faults(story.verdict())[:2] == (0, 1)


def test_the_same_id_again_is_a_repeat_that_dedupe_drops() -> None:
    verdict = everybody(2).got(FIRST, 0, 1, batch=1).verdict()
    assert faults(verdict) == (0, 0, 0)
    assert (verdict.repeats, verdict.delivered, verdict.by_backfill) == (2, 4, 0)


def test_an_earlier_message_after_a_later_one_is_out_of_order() -> None:
    story = Story(3).got(WRITER, 0, 1, 2).got(FIRST, 0, 2, 1).got(SECOND, 0, 1, 2)
    assert faults(story.verdict()) == (0, 0, 1)


def test_a_backfill_may_bring_earlier_messages_and_is_in_order_itself() -> None:
    good = Story(4).got(WRITER, 0, 1, 2, 3).got(FIRST, 0, 3).got(FIRST, 1, 2, batch=1).got(SECOND, 0, 1, 2, 3)
    assert faults(good.verdict()) == (0, 0, 0)
    assert good.verdict().by_backfill == 2
    bad = Story(4).got(WRITER, 0, 1, 2, 3).got(FIRST, 0, 3).got(FIRST, 2, 1, batch=1).got(SECOND, 0, 1, 2, 3)
    assert faults(bad.verdict()) == (0, 0, 1)


def test_generators_records_are_one() -> None:
    here, there = Story(3).got(WRITER, 0, 1, 2), Story(0)
    there.got(SECOND, 0, 1, 2).got(FIRST, 1, 0)
    verdict = check([here.record, there.record], members=MEMBERS)
    assert faults(verdict) == (1, 0, 1)


def test_a_warm_up_is_checked_but_not_timed() -> None:
    story = Story(4).got(WRITER, 0, 1, 2, 3).got(FIRST, 1, 2, 3, after_ms=7).got(SECOND, 0, 1, 2, 3, after_ms=7)
    verdict = story.verdict(untimed=range(2))
    assert verdict.lost == 1
    assert verdict.deliver_due == [7 * MS] * 4
    assert (len(verdict.ack_due), len(verdict.pacing)) == (2, 2)


def test_lateness_of_the_generator_counts_from_the_intended_time() -> None:
    story = everybody(1)
    story.record.sent[0] = Sent(WRITER, CONV, 0, 3 * MS)
    verdict = story.verdict()
    assert (verdict.deliver_due, verdict.deliver_sent) == ([5 * MS] * 2, [2 * MS] * 2)
    assert verdict.pacing == [3 * MS]


def test_an_event_takes_its_place_and_is_nobodys_message() -> None:
    story = Story(0)
    story.record.sent[1] = Sent(WRITER, CONV, MS, MS)
    story.record.acked[1] = 2 * MS
    index = story.record.add(Received(sid(0), None, CONV, NOT_OURS, 0))
    for device in MEMBERS[CONV]:
        story.record.deliver(device=device, message=index, at=0)
        story.got(device, 1)
    verdict = story.verdict()
    assert faults(verdict) == (0, 0, 0)
    assert verdict.delivered == 2


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_places_follow_prev_whatever_the_order_of_arrival(order: list[int]) -> None:
    received = [Received(sid(n), sid(n - 1) if n else None, CONV, n, ts=7) for n in order]
    assert [received[index].number for index in sorted(range(4), key=places(received).__getitem__)] == [0, 1, 2, 3]


def test_stretches_with_a_hole_between_them_stand_in_the_order_of_the_log() -> None:
    late = [Received(sid(5), sid(4), CONV, 5, ts=50), Received(sid(6), sid(5), CONV, 6, ts=60)]
    early = [Received(sid(1), sid(0), CONV, 1, ts=10), Received(sid(2), sid(1), CONV, 2, ts=20)]
    assert places(late + early) == [2, 3, 0, 1]


def test_the_chains_of_a_hot_conversation_are_in_order_each_by_itself() -> None:
    assert [chain_of(sid(7, chain)) for chain in range(32)] == list(range(32))
    record = Record()
    chains = [[0, 2, 4], [1, 3, 5]]
    for chain, numbers in enumerate(chains):
        for before, number in zip([None, *numbers], numbers, strict=False):
            record.sent[number] = Sent(WRITER, CONV, number * MS, number * MS)
            record.acked[number] = (number + 1) * MS
            prev = None if before is None else sid(before, chain)
            record.add(Received(sid(number, chain), prev, CONV, number, number))
    for device in MEMBERS[CONV]:
        # One chain is behind the other.
        for chain in (1, 0):
            for number in chains[chain]:
                index = record.index_of(sid(number, chain))
                assert index is not None
                record.deliver(device=device, message=index, at=9 * MS)
    assert faults(check([record], members=MEMBERS)) == (0, 0, 0)
    record.message[1:3] = record.message[2:0:-1]
    assert faults(check([record], members=MEMBERS)) == (0, 0, 1)
