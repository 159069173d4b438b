"""Make, change and end the endpoints of bots, and have events sent again: their only writer beside ``outgoing``."""

from collections.abc import Collection
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import Bot
from messaging.domain.errors import Conflict, InvalidInput, NotFound
from messaging.domain.ids import new_random_id
from messaging.hooks import signing
from messaging.hooks.models import EVENTS, Delivery, Endpoint
from messaging.hooks.outbound import check_url
from messaging.jobs import queued
from messaging.outbound import Refused

MAX_ENDPOINTS: Final = 10
PING: Final = "ping"


def _url(url: str) -> str:
    try:
        return check_url(url, hosts=settings.WEBHOOK_HOSTS)
    except Refused as error:
        raise InvalidInput(f"url: {error}") from None


def _events(events: Collection[str]) -> list[str]:
    if not events or not set(events) <= set(EVENTS):
        raise InvalidInput(f"events: some of {', '.join(EVENTS)}")
    return [event for event in EVENTS if event in events]


def make(*, bot: Bot, url: str, events: Collection[str]) -> tuple[Endpoint, str]:
    """Return a new endpoint, which is told what happens from some seconds on, and the secret that signs it.

    Raises:
        InvalidInput: an address that nothing is sent to, or no event. Conflict: there are ``MAX_ENDPOINTS`` already.
    """
    if Endpoint.objects.filter(bot=bot).count() >= MAX_ENDPOINTS:
        raise Conflict(f"the bot has {MAX_ENDPOINTS} endpoints; end one first")
    secret = signing.new_secret()
    return (
        Endpoint.objects.create(bot=bot, url=_url(url), events=_events(events), secret=signing.sealed(secret)),
        secret,
    )


def change(
    *, endpoint: Endpoint, url: str | None = None, events: Collection[str] | None = None, on: bool | None = None
) -> Endpoint:
    """Change an endpoint; what is None stays. Raises InvalidInput."""
    if url is not None:
        endpoint.url = _url(url)
    if events is not None:
        endpoint.events = _events(events)
    if on is True:
        endpoint.off_at, endpoint.off_reason = None, ""
        endpoint.failures, endpoint.failing_since, endpoint.paused_until = 0, None, None
    elif on is False and endpoint.off_at is None:
        endpoint.off_at, endpoint.off_reason = timezone.now(), "switched off by hand"
    fields = ["url", "events", "off_at", "off_reason", "failures", "failing_since", "paused_until"]
    endpoint.save(update_fields=fields)
    return endpoint


def rotate(*, endpoint: Endpoint) -> str:
    """Return a new secret; what is sent from now on is signed with it."""
    secret = signing.new_secret()
    endpoint.secret = signing.sealed(secret)
    endpoint.save(update_fields=["secret"])
    return secret


def end(*, endpoint: Endpoint) -> None:
    """End an endpoint, with all that waits for it."""
    endpoint.delete()


def test(*, endpoint: Endpoint) -> Delivery:
    """Send an event ``ping``, as others are sent, and return it. Raises Conflict: the endpoint is off."""
    if endpoint.off_at is not None:
        raise Conflict("the endpoint is off")
    place = new_random_id()
    ping = Delivery.objects.create(
        endpoint=endpoint, type=PING, conversation_id=place, at=place, target=place, actor=endpoint.bot_id
    )
    # Somebody wants to know now.
    Endpoint.objects.filter(pk=endpoint.pk).update(paused_until=None)
    _send_soon()
    return ping


def redeliver(*, endpoint: Endpoint, delivery_id: int) -> Delivery:
    """Have an event that was given up sent again. Raises NotFound: there is none. Conflict: the endpoint is off."""
    if endpoint.off_at is not None:
        raise Conflict("the endpoint is off; switch it on first")
    rows = Delivery.objects.filter(endpoint=endpoint, pk=delivery_id, state=Delivery.State.DEAD)
    now = timezone.now()
    if not rows.update(state=Delivery.State.WAITING, attempts=0, created_at=now, next_at=now, done_at=None):
        raise NotFound("no such event, or it was not given up")
    _send_soon()
    return Delivery.objects.get(pk=delivery_id)


def _send_soon() -> None:
    from messaging.hooks.tasks import send_due

    # Where the queue is away the clock comes by within a minute.
    transaction.on_commit(lambda: queued(send_due))
