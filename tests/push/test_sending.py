"""The way out, without a database: order, rates, what a provider does wrong, and what is given up."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from messaging.adapters.embedded.rates import MemoryRateLimiter
from push.providers.base import SENT, Address, Notice, Outcome, Result
from push.sending import Engine, Sender, backoff_s

NOTICE = Notice("Ann", "Hi", {}, "c_x", badge=1)
OUT = Outcome(Result.RETRY, "HTTP 503", outage=True)


class Carrier:
    """Answers as the test says; counts what it is asked."""

    def __init__(self, answer: Callable[[str], Coroutine[Any, Any, Outcome]]) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.closed = False

    async def send(self, address: Address, notice: Notice) -> Outcome:
        self.asked.append(address.token)
        return await self.answer(address.token)

    async def close(self) -> None:
        self.closed = True


def items(*tokens: str, provider: str = "a") -> list[tuple[Address, Notice]]:
    return [(Address(provider, token), NOTICE) for token in tokens]


def sender(now: list[float] | None = None, rate_per_s: float = 1e6, **providers: Any) -> Sender:
    at = now or [0.0]
    return Sender(providers, MemoryRateLimiter(), rate_per_s=rate_per_s, monotonic=lambda: at[0])


async def ok(token: str) -> Outcome:
    return SENT


async def test_outcomes_are_in_the_order_of_what_was_sent() -> None:
    async def by_name(token: str) -> Outcome:
        await asyncio.sleep(0.01 if token == "slow" else 0)
        return Outcome(Result.REFUSED, token)

    found = await sender(a=Carrier(by_name), b=Carrier(by_name)).send(
        [*items("slow", "quick"), *items("other", provider="b"), *items("x", provider="none")]
    )
    assert [outcome.reason for outcome in found[:3]] == ["slow", "quick", "other"]
    assert found[3].result is Result.REFUSED


async def test_no_more_than_a_hundred_are_under_way() -> None:
    now = most = 0

    async def count(token: str) -> Outcome:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return SENT

    await sender(a=Carrier(count)).send(items(*map(str, range(300))))
    assert most == 100


@pytest.mark.logs_errors
async def test_a_defect_costs_one_push_and_not_the_others() -> None:
    async def fail(token: str) -> Outcome:
        if token == "bad":
            raise KeyError(token)
        return SENT

    found = await sender(a=Carrier(fail)).send(items("bad", "good"))
    assert [outcome.result for outcome in found] == [Result.REFUSED, Result.SENT]


async def test_what_waits_for_the_rate_is_sent_when_it_may() -> None:
    carrier = Carrier(ok)
    found = await Sender({"a": carrier}, MemoryRateLimiter(), rate_per_s=20).send(items(*map(str, range(22))))
    assert found == [SENT] * 22


async def test_after_outages_one_push_tries_and_one_that_is_given_up_does_not_bar_the_next() -> None:
    now = [0.0]
    silent = asyncio.Event()

    async def out(token: str) -> Outcome:
        if token == "hangs":
            silent.set()
            await asyncio.Event().wait()
        return SENT if token == "fine" else OUT

    carrier = Carrier(out)
    sending = sender(now, a=carrier)
    await sending.send(items(*"12345"))
    [kept] = await sending.send(items("6"))
    assert (kept.reason, kept.untried, kept.retry_after_s) == ("circuit open", True, 5.0)
    assert len(carrier.asked) == 5
    now[0] = 5.0
    trying = asyncio.create_task(sending.send(items("hangs")))
    await silent.wait()
    [other] = await sending.send(items("7"))
    assert other.reason == "circuit open", "one is enough to try"
    trying.cancel()
    await asyncio.wait([trying])
    now[0] = 20.0
    assert await sending.send(items("fine")) == [SENT]
    assert await sending.send(items("fine", "fine")) == [SENT, SENT]


def test_back_off_doubles_with_jitter_up_to_a_minute_and_keeps_what_was_asked() -> None:
    for attempts, longest in ((0, 1), (1, 2), (3, 8), (9, 60), (500, 60)):
        waits = [backoff_s(attempts) for _ in range(50)]
        assert longest / 2 <= min(waits) <= max(waits) <= longest
        assert len(set(waits)) > 1
    assert backoff_s(0, 40) == 40


def test_jobs_send_on_a_loop_of_its_own_that_ends_with_its_connections() -> None:
    carrier = Carrier(ok)
    engine = Engine(lambda: sender(a=carrier))
    assert engine.send(items("1", "2")) == [SENT, SENT]
    assert engine.send([]) == []
    engine.close()
    assert carrier.closed
