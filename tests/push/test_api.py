"""Subscriptions and settings by REST: whose they are, and what is no address."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import Device, User
from accounts.services.devices import sign_in_device
from chatproject.env import BadEnvironment, load
from messaging.domain import ids
from push.config import PushConfig
from push.models import Subscription
from push.services import NewSubscription, subscribe
from push.vapid import public_key
from tests.api.conftest import problem
from tests.push.conftest import APNS, VAPID
from tests.push.servers import PushService

pytestmark = pytest.mark.django_db

TOKEN = "ab" * 32


class Phone:
    """A device with its bearer token."""

    def __init__(self, user: User) -> None:
        self.device, token = sign_in_device(user=user, name="phone")
        self.ref = ids.device_ref(self.device.pk)
        self.client = APIClient()
        self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    def put(self, device: str | None = None, **body: Any) -> Any:
        return self.client.put(f"/v1/devices/{device or self.ref}/push", body, format="json")

    def get(self, device: str | None = None) -> Any:
        return self.client.get(f"/v1/devices/{device or self.ref}/push")


@pytest.fixture
def phone(make_user: Callable[..., User], settings: Any) -> Phone:
    settings.PUSH = PushConfig(apns=APNS, vapid_private_key=VAPID, hosts=(".push.example.org",))
    return Phone(make_user("ann"))


@pytest.fixture
def other(make_user: Callable[..., User]) -> Phone:
    return Phone(make_user("bob"))


def test_a_device_registers_and_leaves(phone: Phone) -> None:
    problem(phone.get(), 404, "not_found")
    answer = phone.put(provider="apns", token=TOKEN, environment="sandbox", content="sender")
    assert answer.status_code == 200
    shown = phone.get().json()
    assert shown == answer.json()
    assert (shown["provider"], shown["environment"], shown["topic"]) == ("apns", "sandbox", "org.example.chat")
    assert TOKEN not in str(shown), "an address is a secret"
    assert phone.client.delete(f"/v1/devices/{phone.ref}/push").status_code == 204
    assert phone.client.delete(f"/v1/devices/{phone.ref}/push").status_code == 204
    problem(phone.get(), 404, "not_found")


def test_a_browser_registers(phone: Phone, mozilla: PushService) -> None:
    keys = mozilla.browser().keys
    good = {"provider": "webpush", "endpoint": "https://a.push.example.org/x", "keys": keys}
    assert phone.put(**good).status_code == 200
    assert Subscription.objects.get().keys == keys
    for bad in (
        {"endpoint": "https://169.254.169.254/x"},
        {"endpoint": "http://a.push.example.org/x"},
        {"endpoint": None},
        {"keys": {"p256dh": keys["p256dh"]}},
        {"keys": {"p256dh": keys["p256dh"], "auth": "AAAA"}},
        {"keys": {"p256dh": "A" * 87, "auth": keys["auth"]}},
        {"keys": {"p256dh": "é", "auth": keys["auth"]}},
    ):
        problem(phone.put(**good | bad), 400, "invalid")


@pytest.mark.parametrize(
    "body",
    [
        {"provider": "apns"},
        {"provider": "apns", "token": "no hex"},
        {"provider": "apns", "token": "ab/../x"},
        {"provider": "apns", "token": TOKEN, "topic": "org.example.other"},
        {"provider": "fcm", "token": "x" * 40},
        {"provider": "pigeon", "token": TOKEN},
        {"provider": "apns", "token": TOKEN, "content": "all"},
        {"provider": "apns", "token": 7},
    ],
    ids=str,
)
def test_what_is_no_address_is_refused(phone: Phone, body: dict[str, Any]) -> None:
    problem(phone.put(**body), 400, "invalid")
    assert not Subscription.objects.exists()


def test_devices_of_others_are_absent(phone: Phone, other: Phone) -> None:
    phone.put(provider="apns", token=TOKEN)
    nobody = ids.device_ref(5)
    for ask in (
        lambda device: other.get(device),
        lambda device: other.put(device, provider="apns", token="cd" * 32),
        lambda device: other.client.delete(f"/v1/devices/{device}/push"),
        lambda device: other.client.post(f"/v1/devices/{device}/push/test"),
    ):
        assert problem(ask(phone.ref), 404, "not_found") == problem(ask(nobody), 404, "not_found")
    assert Subscription.objects.get().device_id == phone.device.pk


def test_an_address_belongs_to_the_last_who_registered_it(phone: Phone, other: Phone) -> None:
    """The same phone, after somebody else has signed in on it."""
    phone.put(provider="apns", token=TOKEN)
    other.put(provider="apns", token=TOKEN)
    found = Subscription.objects.get()
    assert (found.device_id, found.user_id) == (other.device.pk, other.device.user_id)


def test_registering_again_keeps_what_is_known_unless_the_address_is_new(phone: Phone) -> None:
    phone.put(provider="apns", token=TOKEN)
    Subscription.objects.update(last_error="TooManyRequests")
    assert phone.put(provider="apns", token=TOKEN).json()["last_error"] == "TooManyRequests"
    assert phone.put(provider="apns", token="cd" * 32).json()["last_error"] == ""


def test_signing_out_ends_it(phone: Phone) -> None:
    phone.put(provider="apns", token=TOKEN)
    Device.objects.get(pk=phone.device.pk).delete()
    assert not Subscription.objects.exists()


def test_a_test_push_is_a_job(phone: Phone) -> None:
    queue = Path(django_settings.JOBS_DIR) / "waiting"
    before = set(queue.iterdir())
    problem(phone.client.post(f"/v1/devices/{phone.ref}/push/test"), 404, "not_found")
    phone.put(provider="apns", token=TOKEN)
    assert phone.client.post(f"/v1/devices/{phone.ref}/push/test").status_code == 202
    [job] = set(queue.iterdir()) - before
    assert "push.tasks.send_test" in job.read_text()
    for _ in range(6):
        last = phone.client.post(f"/v1/devices/{phone.ref}/push/test")
    problem(last, 429, "rate_limited")
    for job in set(queue.iterdir()) - before:
        job.unlink()


# --- settings ---------------------------------------------------------------------------------------


def test_settings_begin_with_the_defaults_and_change_one_by_one(phone: Phone, other: Phone) -> None:
    defaults = phone.client.get("/v1/me/push-settings").json()
    assert defaults == {
        "enabled": True,
        "content": "full",
        "quiet_from": None,
        "quiet_until": None,
        "time_zone": "UTC",
        "mentions_override_mute": True,
        "email_summary": True,
        "providers": ["apns", "webpush"],
        "vapid_key": public_key(VAPID),
    }
    change = {"quiet_from": "22:30", "quiet_until": "07:00", "time_zone": "Europe/Berlin"}
    assert phone.client.patch("/v1/me/push-settings", change, format="json").json() == defaults | change
    phone.client.patch("/v1/me/push-settings", {"content": "nothing"}, format="json")
    assert phone.client.get("/v1/me/push-settings").json() == defaults | change | {"content": "nothing"}
    assert other.client.get("/v1/me/push-settings").json() == defaults, "everybody has their own"


@pytest.mark.parametrize(
    "change",
    [
        {"time_zone": "Europe/Atlantis"},
        {"time_zone": "../../etc/passwd"},
        {"quiet_from": "22:00"},
        {"quiet_from": "25:00", "quiet_until": "07:00"},
        {"content": "some"},
        {"enabled": "perhaps"},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(phone: Phone, change: dict[str, Any]) -> None:
    problem(phone.client.patch("/v1/me/push-settings", change, format="json"), 400, "invalid")


# --- the staff and the operator ---------------------------------------------------------------------


def test_the_staff_sees_devices_without_their_addresses(phone: Phone, make_user: Any, client: Client) -> None:
    phone.put(provider="apns", token=TOKEN)
    Subscription.objects.update(last_error="BadTopic")
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    listed = client.get("/admin/push/subscription/").content.decode()
    shown = client.get(f"/admin/push/subscription/{phone.device.pk}/change/").content.decode()
    for html in (listed, shown):
        assert "BadTopic" in html
        assert TOKEN not in html
    assert client.get("/admin/push/push/").status_code == 200
    assert client.get("/admin/push/subscription/add/").status_code == 403


def test_the_command_makes_a_key_that_the_environment_takes() -> None:
    out = StringIO()
    call_command("vapid_key", stdout=out)
    line, remark = out.getvalue().splitlines()
    name, _, key = line.partition("=")
    assert load({name: key})[name] == key
    assert remark == f"# public: {public_key(key)}"
    assert django_settings.PUSH.vapid_private_key != key


def test_apples_settings_come_together(tmp_path: Any) -> None:
    file = tmp_path / "key.p8"
    file.write_text("x")
    with pytest.raises(BadEnvironment, match="CHAT_APNS_KEY_ID, CHAT_APNS_TEAM_ID, CHAT_APNS_TOPICS: needed as well"):
        load({"CHAT_APNS_KEY_FILE": str(file)})
    for bad in ({"CHAT_APNS_KEY_FILE": "/none/such"}, {"CHAT_VAPID_PRIVATE_KEY": "short"}):
        with pytest.raises(BadEnvironment):
            load(bad)


def test_the_services_check_whose_device_it_is(phone: Phone, other: Phone) -> None:
    from messaging.domain.errors import NotFound

    with pytest.raises(NotFound):
        subscribe(user=other.device.user, device_id=ids.DeviceId(phone.device.pk), new=NewSubscription("apns", TOKEN))
