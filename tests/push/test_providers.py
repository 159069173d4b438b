"""The providers against servers that speak their protocols: what arrives, and what each of their errors comes to."""

import asyncio
import json
import time
from typing import Any

import pytest

from messaging.domain import ids
from push.config import PushConfig
from push.providers import base
from push.providers.apns import Apns
from push.providers.base import SENT, Address, Notice, Result
from push.providers.fcm import Fcm
from push.providers.webpush import WebPush
from push.vapid import new_private_key
from tests.conftest import eventually
from tests.push.conftest import APNS, TOPIC, VAPID, together
from tests.push.servers import Answer, ApnsServer, FcmServer, PushService, ec_pem

CONV = ids.conversation_ref(7)
PHONE = "ab" * 32
NOTICE = Notice("Ann", "Lunch? 🍜", {"conv": CONV, "server_id": "m_x"}, CONV, badge=3)
READ = Notice("", "", {"conv": CONV, "read": "m_x"}, CONV, badge=0)


def at_apple(token: str = PHONE, **more: Any) -> Address:
    return Address("apns", token, topic=TOPIC, **more)


def at_google(token: str = "t" * 30) -> Address:
    return Address("fcm", token)


# --- APNs -------------------------------------------------------------------------------------------


async def test_apple_gets_a_notification_on_one_connection(apple: ApnsServer, apns: Apns) -> None:
    apple.always = Answer(delay_s=0.2)
    tokens = [f"{number:064x}" for number in range(40)]
    outcomes = await together(*(apns.send(at_apple(token), NOTICE) for token in tokens))
    assert outcomes == [SENT] * 40
    assert (apple.connections, len(apple.tokens)) == (1, 1)
    assert apple.most_at_once > 20, "requests share the connection"
    got = apple.got[0]
    assert got.body["aps"]["alert"] == {"title": "Ann", "body": "Lunch? 🍜"}
    assert (got.body["aps"]["badge"], got.body["aps"]["thread-id"], got.body["conv"]) == (3, CONV, CONV)
    headers = got.headers
    assert (headers["apns-push-type"], headers["apns-priority"], headers["apns-topic"]) == ("alert", "10", TOPIC)
    assert headers["apns-collapse-id"] == CONV
    assert 23 * 3600 < int(headers["apns-expiration"]) - time.time() < 25 * 3600


async def test_apple_takes_a_notification_back_in_silence(apple: ApnsServer, apns: Apns) -> None:
    assert await apns.send(at_apple(environment="sandbox"), READ) == SENT
    [got] = apple.got
    assert got.body == {"aps": {"badge": 0, "content-available": 1}, "conv": CONV, "read": "m_x"}
    assert got.headers["apns-priority"] == "5"


@pytest.mark.parametrize(
    ("answer", "result", "outage"),
    [
        (Answer(410, "Unregistered"), Result.GONE, False),
        (Answer(400, "BadDeviceToken"), Result.GONE, False),
        (Answer(400, "DeviceTokenNotForTopic"), Result.GONE, False),
        (Answer(400, "BadExpirationDate"), Result.REFUSED, False),
        (Answer(403, "InvalidProviderToken"), Result.RETRY, True),
        (Answer(429, "TooManyRequests"), Result.RETRY, False),
        (Answer(500, "InternalServerError"), Result.RETRY, True),
        (Answer(503, "ServiceUnavailable"), Result.RETRY, True),
    ],
    ids=lambda value: value.reason if isinstance(value, Answer) else "",
)
async def test_apples_errors(apple: ApnsServer, apns: Apns, answer: Answer, result: Result, outage: bool) -> None:
    apple.script(PHONE, answer)
    outcome = await apns.send(at_apple(), NOTICE)
    assert (outcome.result, outcome.reason, outcome.outage) == (result, answer.reason, outage)
    assert await apns.send(at_apple(), NOTICE) == SENT


async def test_apples_pause_is_passed_on(apple: ApnsServer, apns: Apns) -> None:
    apple.script(PHONE, Answer(503, "Shutdown", {"retry-after": "17"}))
    assert (await apns.send(at_apple(), NOTICE)).retry_after_s == 17


async def test_a_key_that_apple_does_not_know_is_an_outage(apple: ApnsServer) -> None:
    other = Apns(
        type(APNS)(ec_pem()[0], APNS.key_id, APNS.team_id, APNS.topics),
        hosts={"production": apple.url},
        context=apple.client_context,
    )
    outcome = await other.send(at_apple(), NOTICE)
    assert (outcome.result, outcome.reason, outcome.outage) == (Result.RETRY, "InvalidProviderToken", True)
    await other.close()


async def test_the_signature_is_renewed_within_the_hour(apple: ApnsServer) -> None:
    now = time.time() - 3500
    provider = Apns(APNS, hosts={"production": apple.url}, context=apple.client_context, now=lambda: now)
    assert await provider.send(at_apple(), NOTICE) == SENT
    now += 49 * 60
    assert await provider.send(at_apple(), NOTICE) == SENT
    assert len(apple.tokens) == 1
    now += 2 * 60
    assert await provider.send(at_apple(), NOTICE) == SENT
    assert len(apple.tokens) == 2
    await provider.close()


async def test_a_connection_that_apple_ends_is_opened_again(apple: ApnsServer, apns: Apns) -> None:
    assert await apns.send(at_apple(), NOTICE) == SENT
    apple.goaway_after = 2
    assert await apns.send(at_apple(), NOTICE) == SENT

    async def sent_again() -> bool:
        outcome = await apns.send(at_apple(), NOTICE)
        # The goodbye may cross with the next push, which is tried again then.
        assert outcome == SENT or (outcome.result is Result.RETRY and outcome.outage)
        return outcome == SENT

    await eventually(sent_again)
    assert apple.connections == 2
    apple.goaway_after = None
    apple.script(PHONE, Answer(hang_up=True))
    cut = await apns.send(at_apple(), NOTICE)
    assert (cut.result, cut.outage) == (Result.RETRY, True)
    assert await apns.send(at_apple(), NOTICE) == SENT


async def test_a_provider_that_says_nothing_is_an_outage(apple: ApnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("push.providers.apns.TIMEOUT_S", 0.3)
    provider = Apns(APNS, hosts={"production": apple.url}, context=apple.client_context)
    apple.script(PHONE, Answer(delay_s=30))
    outcome = await provider.send(at_apple(), NOTICE)
    assert (outcome.result, outcome.reason, outcome.outage) == (Result.RETRY, "TimeoutError", True)
    await provider.close()


async def test_a_certificate_that_nobody_vouches_for_is_refused(apple: ApnsServer) -> None:
    provider = Apns(APNS, hosts={"production": apple.url})
    assert (await provider.send(at_apple(), NOTICE)).result is Result.RETRY
    assert apple.got == []
    await provider.close()


async def test_a_long_text_is_cut_to_what_apple_takes(apple: ApnsServer, apns: Apns) -> None:
    notice = Notice("Ann", "界" * 5_000, {"conv": CONV}, CONV, badge=1)
    assert await apns.send(at_apple(), notice) == SENT
    assert apple.got[0].body["aps"]["alert"]["body"].endswith("界…")


# --- FCM --------------------------------------------------------------------------------------------


async def test_google_gets_a_notification_with_its_data(google: FcmServer, fcm: Fcm) -> None:
    assert await fcm.send(at_google(), NOTICE) == SENT
    assert await fcm.send(at_google(), READ) == SENT
    assert google.logins == 1
    shown, silent = (got.body for got in google.got)
    assert shown["notification"] == {"title": "Ann", "body": "Lunch? 🍜"}
    assert shown["data"] == {"conv": CONV, "server_id": "m_x", "badge": "3"}
    assert (shown["android"]["collapse_key"], shown["android"]["priority"]) == (CONV, "high")
    assert shown["android"]["notification"]["tag"] == CONV
    assert "notification" not in silent
    assert (silent["data"]["read"], silent["android"]["priority"]) == ("m_x", "normal")


@pytest.mark.parametrize(
    ("code", "result", "outage"),
    [
        ("UNREGISTERED", Result.GONE, False),
        ("SENDER_ID_MISMATCH", Result.GONE, False),
        ("QUOTA_EXCEEDED", Result.RETRY, False),
        ("INVALID_ARGUMENT", Result.REFUSED, False),
    ],
)
async def test_googles_errors(google: FcmServer, fcm: Fcm, code: str, result: Result, outage: bool) -> None:
    token = at_google().token
    google.script(token, google.error(code, **{"Retry-After": "9"}))
    outcome = await fcm.send(at_google(), NOTICE)
    assert (outcome.result, outcome.outage) == (result, outage)
    assert outcome.retry_after_s == (9 if result is Result.RETRY else None)


@pytest.mark.slow
async def test_a_google_that_is_out_is_an_outage(google: FcmServer, fcm: Fcm) -> None:
    google.script(at_google().token, *[google.error("UNAVAILABLE", **{"Retry-After": "9"})] * 5)
    outcome = await fcm.send(at_google(), NOTICE)
    assert (outcome.result, outcome.outage, outcome.retry_after_s) == (Result.RETRY, True, 9)


async def test_a_login_that_fails_is_an_outage(google: FcmServer, tmp_path: Any) -> None:
    file = google.credentials(tmp_path)
    account = json.loads(file.read_text())
    file.write_text(json.dumps(account | {"token_uri": "http://127.0.0.1:9/token"}))
    provider = Fcm(file)
    outcome = await provider.send(at_google(), NOTICE)
    assert (outcome.result, outcome.outage) == (Result.RETRY, True)
    await provider.close()


# --- Web Push ---------------------------------------------------------------------------------------


async def test_a_browser_reads_what_was_sent(mozilla: PushService, webpush: WebPush) -> None:
    browser = mozilla.browser()
    address = Address("webpush", browser.endpoint, browser.keys)
    assert await webpush.send(address, NOTICE) == SENT
    assert await webpush.send(address, READ) == SENT
    shown, silent = mozilla.got
    assert shown.body == {
        "title": "Ann", "body": "Lunch? 🍜", "tag": CONV, "badge": 3, "conv": CONV, "server_id": "m_x"
    }  # fmt: skip
    assert silent.body["read"] == "m_x"
    assert (shown.headers["urgency"], silent.headers["urgency"]) == ("high", "low")
    assert shown.headers["topic"] == silent.headers["topic"]
    assert CONV not in shown.headers["topic"], "the push service learns no id of ours"
    assert shown.headers["content-encoding"] == "aes128gcm"


@pytest.mark.parametrize(
    ("answer", "result", "outage", "after"),
    [
        (Answer(404), Result.GONE, False, None),
        (Answer(410), Result.GONE, False, None),
        (Answer(413), Result.REFUSED, False, None),
        (Answer(429, headers={"Retry-After": "30"}), Result.RETRY, False, 30),
        (Answer(500), Result.RETRY, True, None),
        (Answer(503, headers={"Retry-After": "5"}), Result.RETRY, True, 5),
        (Answer(hang_up=True), Result.RETRY, True, None),
        (Answer(302, headers={"Location": "http://127.0.0.1:9/"}), Result.REFUSED, False, None),
    ],
    ids=str,
)
async def test_errors_of_push_services(
    mozilla: PushService, webpush: WebPush, answer: Answer, result: Result, outage: bool, after: float | None
) -> None:
    browser = mozilla.browser()
    mozilla.script(browser.id, answer)
    outcome = await webpush.send(Address("webpush", browser.endpoint, browser.keys), NOTICE)
    assert (outcome.result, outcome.outage, outcome.retry_after_s) == (result, outage, after)


async def test_a_subscription_with_another_key_is_refused(mozilla: PushService, config: PushConfig) -> None:
    provider = WebPush(PushConfig(vapid_private_key=new_private_key(), hosts=config.hosts))
    browser = mozilla.browser()
    outcome = await provider.send(Address("webpush", browser.endpoint, browser.keys), NOTICE)
    assert (outcome.result, outcome.outage) == (Result.RETRY, True)
    await provider.close()


async def test_nothing_but_known_push_services_is_called(mozilla: PushService) -> None:
    browser = mozilla.browser()
    provider = WebPush(PushConfig(vapid_private_key=VAPID, hosts=(".push.example.org",)))
    outcome = await provider.send(Address("webpush", browser.endpoint, browser.keys), NOTICE)
    assert outcome.result is Result.GONE
    assert mozilla.got == []
    await provider.close()


def test_which_endpoints_may_be_called(config: PushConfig) -> None:
    port = config.hosts[0].rpartition(":")[2]
    for good in (f"http://127.0.0.1:{port}/x", "https://a.push.example.org/x", "https://a.b.push.example.org/x"):
        assert config.may_call(good), good
    for bad in (
        "http://127.0.0.1/x",
        "http://127.0.0.1:1/x",
        "http://a.push.example.org/x",
        "https://push.example.org.evil.example/x",
        "https://evilpush.example.org/x",
        "https://a.push.example.org:8443/x",
        "https://me@a.push.example.org/x",
        "https://a.push.example.org@evil.example/x",
        "https://a.push.example.org:bad/x",
        "https://169.254.169.254/",
        "ftp://a.push.example.org/x",
        "https://[::1/",
        "",
    ):
        assert not config.may_call(bad), bad


@pytest.mark.parametrize("text", ["界" * 5_000, '"' * 5_000, ""])
async def test_a_long_text_is_cut_to_what_a_push_service_takes(
    mozilla: PushService, webpush: WebPush, text: str
) -> None:
    browser = mozilla.browser()
    notice = Notice("Ann", text, {"conv": CONV}, CONV, badge=1)
    assert await webpush.send(Address("webpush", browser.endpoint, browser.keys), notice) == SENT


def test_a_pause_is_a_number_or_a_date() -> None:
    assert base.retry_after("12") == 12
    assert base.retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    for odd in (None, "", "soon", "-3"):
        assert base.retry_after(odd) is None


# --- HTTP/2 -----------------------------------------------------------------------------------------


async def test_more_requests_than_the_other_side_takes_at_once_wait_their_turn(apple: ApnsServer) -> None:
    apple.max_streams = 5
    apple.always = Answer(delay_s=0.02)
    provider = Apns(APNS, hosts={"production": apple.url}, context=apple.client_context)
    outcomes = await together(*(provider.send(at_apple(f"{number:064x}"), NOTICE) for number in range(40)))
    assert outcomes == [SENT] * 40
    assert apple.most_at_once == 5
    await provider.close()


async def test_bodies_beyond_the_window_wait_for_room(apple: ApnsServer, apns: Apns) -> None:
    notice = Notice("Ann", "x" * 3_500, {"conv": CONV}, CONV, badge=1)
    apple.always = Answer(delay_s=0.05)
    tokens = [f"{number:064x}" for number in range(100)]
    assert await together(*(apns.send(at_apple(token), notice) for token in tokens)) == [SENT] * 100
    assert {got.token for got in apple.got} == set(tokens)


async def test_what_apple_did_not_look_at_is_sent_again_on_a_fresh_connection(apple: ApnsServer, apns: Apns) -> None:
    apple.always = Answer(delay_s=0.05)
    apple.deaf_after = 3
    tokens = [f"{number:064x}" for number in range(6)]
    assert await together(*(apns.send(at_apple(token), NOTICE) for token in tokens)) == [SENT] * 6
    assert sorted(got.token for got in apple.got) == tokens, "each once"
    assert apple.connections == 2


async def test_a_push_that_is_given_up_leaves_the_others_alone(apple: ApnsServer, apns: Apns) -> None:
    apple.script(PHONE, Answer(delay_s=30))
    silent = asyncio.create_task(apns.send(at_apple(), NOTICE))
    await asyncio.to_thread(apple.wait, 1)
    silent.cancel()
    assert await apns.send(at_apple("cd" * 32), NOTICE) == SENT
    assert silent.cancelled()
    assert apple.connections == 1


async def test_a_server_that_speaks_no_http2_is_an_outage(mozilla: PushService) -> None:
    provider = Apns(APNS, hosts={"production": mozilla.url.replace("http:", "https:")})
    outcome = await provider.send(at_apple(), NOTICE)
    assert (outcome.result, outcome.outage) == (Result.RETRY, True)
    await provider.close()
