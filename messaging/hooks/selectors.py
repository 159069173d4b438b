"""Which bots listen, and what their endpoints are (docs/decisions/0082)."""

from django.conf import settings

from accounts.models import Bot
from accounts.selectors.credentials import let_in
from messaging.domain.errors import NotFound
from messaging.domain.ids import MAX_ID, UserId
from messaging.hooks.models import Delivery, Endpoint

#: Of an endpoint's deliveries, those that are shown.
SHOWN = 50


def listening() -> frozenset[UserId]:
    """Return the bots that have an endpoint which is on, and that are let in. One query."""
    if settings.BOTS == "off":
        return frozenset()
    rows = Endpoint.objects.filter(let_in("bot__user__"), off_at=None)
    return frozenset(UserId(bot) for bot in rows.values_list("bot_id", flat=True))


def endpoints_of(bot: Bot) -> list[Endpoint]:
    """Return the bot's endpoints, the newest first."""
    return list(Endpoint.objects.filter(bot=bot).order_by("-created_at"))


def endpoint_of(bot: Bot, endpoint_id: int) -> Endpoint:
    """Return an endpoint of the bot's. Raises NotFound."""
    endpoint = Endpoint.objects.filter(bot=bot, pk=endpoint_id).first()
    if endpoint is None:
        raise NotFound("no such endpoint")
    return endpoint


def deliveries_of(endpoint: Endpoint) -> list[Delivery]:
    """Return what was not delivered: what waits and what was given up, the newest first; at most ``SHOWN``."""
    rows = Delivery.objects.filter(endpoint=endpoint, state__in=(Delivery.State.WAITING, Delivery.State.DEAD))
    return list(rows.order_by("-at")[:SHOWN])


def delivery_id(ref: str) -> int:
    """Return the id behind ``evt_…``. Raises NotFound: it is malformed."""
    try:
        if not ref.startswith("evt_") or len(ref) > 20:
            raise ValueError
        return int(ref.removeprefix("evt_"), 16) & MAX_ID
    except ValueError:
        raise NotFound("no such event") from None
