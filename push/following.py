"""What devices show follows what becomes of a message: an edit's text takes its place, a deletion takes it away.

Best effort, as with what was read elsewhere: a push that is on its way at that very moment stays as it was sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from django.db.models import Max
from django.utils import timezone

from accounts.language import speaking_to
from chatproject import container
from messaging.domain import events
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId
from messaging.domain.messages import StoredMessage
from push import content, sending
from push.models import Content, Push, Subscription
from push.outbox import candidate_of, note, subscriptions, takes_silence
from push.planning import Plan, address_of, badges, decide
from push.providers.base import Notice, Result

Ref = tuple[ConversationId, MessageId]

#: What a device was told of. Of a conversation it shows the last of these.
_TOLD: Final = (Push.State.SENT, Push.State.COLLAPSED)
_MESSAGES: Final = 200
_DEVICES: Final = 200


def follow(changed: Sequence[events.PushChanged]) -> None:
    """Bring up to date what was pushed of messages that were edited or deleted. May be repeated."""
    refs = list(dict.fromkeys((one.conversation, one.message) for one in changed))
    for start in range(0, len(refs), _MESSAGES):
        part = set(refs[start : start + _MESSAGES])
        rows = Push.objects.filter(
            conversation_id__in={conversation for conversation, _ in part},
            message_id__in={message for _, message in part},
            state__in=_TOLD,
        )
        told = [row for row in rows if _ref(row) in part]
        if not told:
            continue
        messages = container.message_store().get(list(part))
        devices = sorted({row.device_id for row in told})
        for first in range(0, len(devices), _DEVICES):
            some = set(devices[first : first + _DEVICES])
            _follow([row for row in told if row.device_id in some], messages)


def _ref(row: Push) -> Ref:
    return ConversationId(row.conversation_id), MessageId(row.message_id)


def _follow(told: Sequence[Push], messages: Mapping[Ref, StoredMessage]) -> None:
    gone = {row.pk for row in told if (found := messages.get(_ref(row))) is None or not found.readable}
    Push.objects.filter(pk__in=gone).update(state=Push.State.WITHDRAWN, done_at=timezone.now())
    left = _last_told(told)
    # Of each conversation that a device shows: the newest of the changed messages, and the last one that is left.
    shown: dict[tuple[int, int], Push] = {}
    for row in sorted(told, key=lambda row: row.message_id):
        shown[row.device_id, row.conversation_id] = row
    stale = [
        (row, last)
        for key, row in shown.items()
        if (last := left.get(key)) is None or last.message_id <= row.message_id
    ]
    plans, _ = decide(
        [candidate_of(last) for _, last in stale if last is not None], now=timezone.now(), also_quiet=True
    )
    wanted = {plan.candidate: plan for plan in plans}
    reachable = {one.pk: one for one in subscriptions("pk", {DeviceId(row.device_id) for row, _ in stale})}
    numbers = badges({UserId(row.user_id) for row, _ in stale})
    sends: list[tuple[Subscription, Notice]] = []
    for row, last in stale:
        subscription = reachable.get(row.device_id)
        plan = wanted.get(candidate_of(last)) if last is not None else None
        if subscription is None:
            continue
        notice = _notice(row, plan, subscription, is_gone=row.pk in gone, badge=numbers.get(UserId(row.user_id), 0))
        if notice is not None:
            sends.append((subscription, notice))
    _send(sends)


def _last_told(told: Iterable[Push]) -> dict[tuple[int, int], Push]:
    """Return, by device and conversation of these, the newest message that the device was told of and that is left."""
    pairs = {(row.device_id, row.conversation_id) for row in told}
    rows = Push.objects.filter(
        device_id__in={device for device, _ in pairs},
        conversation_id__in={conversation for _, conversation in pairs},
        state__in=_TOLD,
    )
    newest = {
        (device, conversation, message)
        for device, conversation, message in rows.values_list("device_id", "conversation_id").annotate(
            Max("message_id")
        )
    }
    found = rows.filter(message_id__in={message for _, _, message in newest})
    return {
        (row.device_id, row.conversation_id): row
        for row in found
        if (row.device_id, row.conversation_id, row.message_id) in newest
    }


def _notice(row: Push, plan: Plan | None, subscription: Subscription, *, is_gone: bool, badge: int) -> Notice | None:
    """Return what brings a device up to date that shows a changed message; None where it need not change."""
    if plan is not None and (is_gone or (plan.shows == Content.FULL and content.may_show(plan.said))):
        with speaking_to(subscription.user):
            return content.in_place(plan.said, content=plan.shows, badge=badge, of=row.message_id)
    if not is_gone:
        return None
    if takes_silence(subscription):
        return content.taken_back(row.conversation_id, row.message_id, badge=badge)
    with speaking_to(subscription.user):
        return content.deleted(row.conversation_id, row.message_id, badge=badge)


def _send(sends: Sequence[tuple[Subscription, Notice]]) -> None:
    if not sends:
        return
    items = [(address_of(subscription), notice) for subscription, notice in sends]
    for (subscription, _), outcome in zip(sends, sending.engine().send(items), strict=True):
        if outcome.result is Result.GONE:
            note(subscription, outcome)
