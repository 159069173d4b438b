"""Tells people on their devices that what they wanted sent later was not sent (docs/decisions/0074)."""

from collections.abc import Collection

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.language import speaking_to
from accounts.selectors import people
from chatproject import container
from messaging.domain.ids import ConversationId, DeviceId, ScheduledId, UserId
from messaging.domain.messages import ConversationType
from push import content, sending
from push.models import Content, Subscription
from push.outbox import note
from push.planning import address_of, badges, is_quiet, settings_for, usable
from push.providers.base import Notice, Result


def tell(
    user: UserId, conversation: ConversationId, scheduled: ScheduledId, *, devices: Collection[DeviceId] | None = None
) -> list[DeviceId]:
    """Tell all devices of the user, or these; return those for which no provider took it: try them again later.

    As with messages it is not said in quiet hours, and shows no more than the user wants. A muted conversation counts
    not: nobody else said anything.
    """
    here = Q(user_id=user) if devices is None else Q(user_id=user, pk__in=devices)
    now = timezone.now()
    wanted = [row for row in usable(here) if not is_quiet(settings_for(row), now)]
    if not wanted:
        return []
    badge = badges([user]).get(user, 0)
    items = [(address_of(row), _notice(row, conversation, scheduled, badge)) for row in wanted]
    outcomes = sending.engine().send(items)
    for row, outcome in zip(wanted, outcomes, strict=True):
        note(row, outcome)
    return [DeviceId(row.pk) for row, outcome in zip(wanted, outcomes, strict=True) if outcome.result is Result.RETRY]


def _notice(row: Subscription, conversation: ConversationId, scheduled: ScheduledId, badge: int) -> Notice:
    shows = row.content or settings_for(row).content
    with speaking_to(row.user):
        title = _("Chat") if shows == Content.NOTHING else _title(UserId(row.user_id), conversation)
        return content.unsent(conversation, scheduled, title=title, badge=badge)


def _title(user: UserId, conversation: ConversationId) -> str:
    """Return what the user sees the conversation called."""
    found = container.conversation_store().get([conversation]).get(conversation)
    if found is None or found.encrypted:
        return _("Chat")
    others = [other for other in found.members or () if other != user] if found.type is ConversationType.DM else []
    cards = people.display_names(others)
    return content.title_of(found, next((card.display_name for card in cards.values()), _("Chat")))
