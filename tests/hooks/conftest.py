"""People as in the tests of REST, a bot among them, and somebody who takes its events."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from asgiref.sync import async_to_sync

from accounts.models import Bot
from chatproject import container
from messaging.domain import ids
from messaging.hooks.models import Endpoint
from messaging.hooks.selectors import listening
from messaging.hooks.tasks import tell_bots
from messaging.ports import TOPIC_HOOKS, TOPIC_MESSAGES
from messaging.router.apply import Applier
from messaging.services.hook_events import append_noticed, noticed
from tests.api.conftest import Person, ann, bob, bot_of, cat, person  # noqa: F401  # fixtures
from tests.hooks.receiver import Receiver
from tests.topics import unread


@pytest.fixture
def settle(db: None) -> Callable[[], None]:
    """Return a function that stores what is in the log, and tells bots of it, as router, dispatcher and job do."""
    log = container.message_log()
    applier = Applier(messages=container.message_store(), conversations=container.conversation_store())
    read = unread()

    def step() -> None:
        while records := read(TOPIC_MESSAGES):
            applied = applier.apply(records)
            async_to_sync(append_noticed)(log, noticed(applied.deliveries, listening()))
        while records := read(TOPIC_HOOKS):
            tell_bots(msgspec.to_builtins(records))

    return step


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_HOSTS = ("127.0.0.1",)
    made = Receiver()
    yield made
    made.close()


class Told:
    """A bot of Ann's in a group with Bob, an endpoint of it, and who takes what it is told."""

    def __init__(self, owner: Person, other: Person, bot: Bot, receiver: Receiver, events: list[str]) -> None:
        self.ann, self.bot, self.receiver = owner, bot, receiver
        self.ref = ids.user_ref(bot.pk)
        members = [other.ref, self.ref]
        self.group = str(owner.post("conversations", {"type": "group", "members": members}).json()["id"])
        made = owner.post(f"bots/{self.ref}/endpoints", {"url": receiver.url, "events": events})
        assert made.status_code == 201, made.json()
        receiver.secret = made.json()["secret"]
        self.path = f"bots/{self.ref}/endpoints/{made.json()['id']}"

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint.objects.get()


ALL = [
    "message.created", "message.edited", "message.deleted", "reaction.added", "reaction.removed", "member.added",
    "member.removed",
]  # fmt: skip


@pytest.fixture
def told(
    ann: Person,  # noqa: F811
    bob: Person,  # noqa: F811
    bot_of: Callable[..., Bot],  # noqa: F811
    receiver: Receiver,
    settle: Callable[[], None],
) -> Told:
    made = Told(ann, bob, bot_of(ann), receiver, ALL)
    settle()
    receiver.got.clear()
    return made
