"""The providers' servers, and an installation that knows them."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from firebase_admin import messaging

from accounts.models import Device, User
from accounts.services.devices import sign_in_device
from chatproject import container
from messaging.domain import ids
from messaging.domain.events import PushIntent
from messaging.domain.ids import DeviceId, UserId
from messaging.domain.messages import Conversation, StoredMessage
from push import sending
from push.config import ApnsConfig, PushConfig
from push.providers.apns import Apns
from push.providers.fcm import Fcm
from push.providers.webpush import WebPush
from push.sending import Sender
from push.services import NewSubscription, subscribe
from push.vapid import new_private_key
from tests.push.servers import Answer, ApnsServer, FcmServer, Got, PushService, Recorder, closing, ec_pem

TOPIC = "org.example.chat"
KEY_ID, TEAM_ID = "ABC123DEFG", "TEAM123456"
VAPID = new_private_key()
PEM, PUBLIC = ec_pem()
APNS = ApnsConfig(key=PEM, key_id=KEY_ID, team_id=TEAM_ID, topics=(TOPIC,))


@pytest.fixture
def apple(tmp_path: Path) -> Iterator[ApnsServer]:
    with closing(lambda: ApnsServer(tmp_path, team_id=TEAM_ID, key_id=KEY_ID, key=PUBLIC)) as server:
        yield server


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[FcmServer]:
    with closing(FcmServer) as server:
        # The library has no setting for it.
        monkeypatch.setattr(messaging._MessagingService, "FCM_URL", f"{server.url}/v1/projects/{{0}}/messages:send")
        yield server


@pytest.fixture
def mozilla() -> Iterator[PushService]:
    with closing(lambda: PushService(VAPID)) as server:
        yield server


@pytest.fixture
def config(mozilla: PushService) -> PushConfig:
    return PushConfig(vapid_private_key=VAPID, hosts=(f"127.0.0.1:{mozilla.port}", ".push.example.org"))


@pytest.fixture
async def apns(apple: ApnsServer) -> AsyncIterator[Apns]:
    provider = Apns(APNS, hosts={"production": apple.url, "sandbox": apple.url}, context=apple.client_context)
    yield provider
    await provider.close()


@pytest.fixture
async def fcm(google: FcmServer, tmp_path: Path) -> AsyncIterator[Fcm]:
    provider = Fcm(google.credentials(tmp_path))
    yield provider
    await provider.close()


@pytest.fixture
async def webpush(config: PushConfig) -> AsyncIterator[WebPush]:
    provider = WebPush(config)
    yield provider
    await provider.close()


async def together(*sends: Any) -> list[Any]:
    return list(await asyncio.gather(*sends))


# --- people who are away ------------------------------------------------------------------------------


class Phone:
    """A device, and what its provider was sent for it."""

    def __init__(self, device: Device, token: str, server: Recorder) -> None:
        self.device = device
        self.id = DeviceId(device.pk)
        self.token = token
        self.server = server

    @property
    def got(self) -> list[Got]:
        return [got for got in self.server.got if got.token == self.token]

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Title and text of what was shown."""
        bodies = [got.body.get("aps", {}).get("alert") or got.body for got in self.got]
        return [(body["title"], body["body"]) for body in bodies if body.get("title")]

    @property
    def taken_back(self) -> list[str]:
        return [got.body["read"] for got in self.got if "read" in got.body]

    def fails(self, *answers: Answer) -> None:
        """Let the provider answer the next pushes for this device so."""
        self.server.script(self.token, *answers)


class Town:
    """People with devices, conversations, and what is said to those who are away."""

    def __init__(self, make_user: Any, apple: ApnsServer, mozilla: PushService) -> None:
        self._make_user = make_user
        self._apple = apple
        self._mozilla = mozilla
        self._number = 0

    def person(self, name: str, **fields: Any) -> User:
        user: User = self._make_user(name, **fields)
        return user

    def phone(self, user: User, **fields: Any) -> Phone:
        """Return a new phone of the user's that gets pushes from Apple."""
        device, _ = sign_in_device(user=user, name="phone")
        self._number += 1
        token = f"{self._number:064x}"
        new = NewSubscription("apns", token, topic=TOPIC, **fields)
        subscribe(user=user, device_id=DeviceId(device.pk), new=new)
        return Phone(device, token, self._apple)

    def browser(self, user: User, **fields: Any) -> Phone:
        """Return a new browser of the user's that gets pushes from Mozilla."""
        device, _ = sign_in_device(user=user, name="browser")
        browser = self._mozilla.browser()
        new = NewSubscription("webpush", browser.endpoint, browser.keys, **fields)
        subscribe(user=user, device_id=DeviceId(device.pk), new=new)
        return Phone(device, browser.id, self._mozilla)

    def say(self, talk: Conversation, sender: User, text: str, *, age_s: float = 0.0, **fields: Any) -> PushIntent:
        """Store a message, and return the intent for everybody else."""
        self._number += 1
        at_ms = int((time.time() - age_s) * 1000)
        message = ids.message_id_at(ts_ms=at_ms, sub=0, offset=self._number)
        row = StoredMessage(talk.id, message, UserId(sender.pk), uuid4().bytes, text, **fields)
        container.message_store().upsert([row])
        members = container.conversation_store().members(talk.id, limit=100)
        others = [place.user_id for place in members if place.user_id != sender.pk]
        return PushIntent(talk.id, message, UserId(sender.pk), users=others)


@pytest.fixture
def town(
    settings: Any, make_user: Any, apple: ApnsServer, mozilla: PushService, config: PushConfig, monkeypatch: Any
) -> Iterator[Town]:
    """Return people and devices on an installation that sends to Apple and to one push service."""
    settings.PUSH = replace(config, apns=APNS)

    def make() -> Sender:
        hosts = {"production": apple.url, "sandbox": apple.url}
        providers = {"apns": Apns(APNS, hosts=hosts, context=apple.client_context), "webpush": WebPush(config)}
        return Sender(
            providers,
            container.rate_limiter(),
            rate_per_s=settings.PUSH.rate_per_s,
            patience_s=sending._PATIENCE_S,
        )

    monkeypatch.setattr(sending, "_make", make)
    yield Town(make_user, apple, mozilla)
    sending.stop()
