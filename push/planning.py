"""Who really gets a push: decided at the last moment, from what the stores say then (design section 8)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from django.db.models import Count, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.language import speaking_to
from accounts.selectors import people
from accounts.selectors.credentials import let_in, signed_in
from chatproject import container
from messaging.domain.ids import ConversationId, DeviceId, MessageId, UserId
from messaging.domain.mentions import mentions_user
from messaging.domain.messages import Conversation, Membership, StoredMessage
from messaging.media import selectors as media
from push import content
from push.models import Push, PushSettings, Subscription
from push.providers.base import Address, Notice

_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that a device of a user may have to be told of."""

    conversation: ConversationId
    message: MessageId
    sender: UserId
    user: UserId
    device: DeviceId


@dataclass(frozen=True, slots=True)
class Plan:
    """A push that is wanted now."""

    candidate: Candidate
    subscription: Subscription
    said: content.Said
    shows: str

    def notice(self, badge: int) -> Notice:
        """Return what to send."""
        with speaking_to(self.subscription.user):
            return content.notice(self.said, content=self.shows, badge=badge)


def address_of(subscription: Subscription) -> Address:
    """Return where a subscription's device can be reached."""
    return Address(
        subscription.provider,
        subscription.address,
        subscription.keys,
        subscription.environment,
        subscription.topic,
    )


def usable(devices: Q) -> list[Subscription]:
    """Return the subscriptions that pushes may go to: enabled, and somebody is signed in there. One query."""
    rows = Subscription.objects.filter(devices, signed_in("device__"), let_in("user__"), enabled=True)
    rows = rows.exclude(user__push_settings__enabled=False)
    return list(rows.select_related("user__push_settings"))


def settings_for(subscription: Subscription) -> PushSettings:
    """Return what the subscription's user wants; needs no query after ``usable``."""
    found: PushSettings = getattr(subscription.user, "push_settings", None) or PushSettings()
    return found


def is_quiet(wanted: PushSettings, now: datetime) -> bool:
    """Return whether it is within the user's quiet hours, by the user's clock."""
    if wanted.quiet_from is None or wanted.quiet_until is None:
        return False
    local: time = now.astimezone(ZoneInfo(wanted.time_zone)).time()
    if wanted.quiet_from <= wanted.quiet_until:
        return wanted.quiet_from <= local < wanted.quiet_until
    return local >= wanted.quiet_from or local < wanted.quiet_until


def decide(
    candidates: Sequence[Candidate], *, now: datetime, also_quiet: bool = False
) -> tuple[list[Plan], dict[Candidate, str]]:
    """Return the pushes that are wanted, and of the others why they are not.

    A handful of queries for all, and one more for each page of members of a large group. ``also_quiet``: quiet hours
    count as well (they do not, for a mail).
    """
    decision = _Decision(candidates, now=now, quiet=also_quiet)
    plans: list[Plan] = []
    refused: dict[Candidate, str] = {}
    for candidate in candidates:
        outcome = decision.of(candidate)
        if isinstance(outcome, Plan):
            plans.append(outcome)
        else:
            refused[candidate] = outcome
    return plans, refused


class _Decision:
    """What has to be known of all candidates, read at once."""

    def __init__(self, candidates: Sequence[Candidate], *, now: datetime, quiet: bool) -> None:
        self._now = now
        self._quiet = quiet
        devices = {candidate.device for candidate in candidates}
        self._subscriptions = {row.pk: row for row in usable(Q(pk__in=devices))}
        open_ = [candidate for candidate in candidates if candidate.device in self._subscriptions]
        self._messages = container.message_store().get(list({(it.conversation, it.message) for it in open_}))
        self._conversations = container.conversation_store().get({it.conversation for it in open_})
        self._places = _memberships(open_, self._conversations)
        self._blocks = people.blocks_between({(it.user, it.sender) for it in open_})
        self._names = people.display_names({it.sender for it in open_})
        silent = [message for message in self._messages.values() if not message.text.strip()]
        self._files = media.words({ref for message in silent for ref in message.media})

    def of(self, candidate: Candidate) -> Plan | str:
        subscription = self._subscriptions.get(candidate.device)
        if subscription is None or subscription.user_id != candidate.user:
            return "no subscription"
        message = self._messages.get((candidate.conversation, candidate.message))
        conversation = self._conversations.get(candidate.conversation)
        place = self._places.get((candidate.conversation, candidate.user))
        if message is None or not message.readable or conversation is None:
            return "gone"
        if place is None or not place.active or place.joined_id >= candidate.message:
            return "no member"
        if candidate.user == candidate.sender:
            return "own"
        if place.last_read_id >= candidate.message:
            return "read"
        wanted = settings_for(subscription)
        muted = place.muted_until is not None and place.muted_until > self._now
        # By name: what mentions everybody is what a busy group is muted for.
        if muted and not (wanted.mentions_override_mute and candidate.user in message.mentioned):
            return "muted"
        if (candidate.user, candidate.sender) in self._blocks:
            return "blocked"
        if self._quiet and is_quiet(wanted, self._now):
            return "quiet hours"
        card = self._names.get(candidate.sender)
        mentioned = mentions_user(message.mentioned, candidate.user)
        with speaking_to(subscription.user):
            name = card.display_name if card is not None else _("Somebody")
            said = content.Said(message, conversation, name, mentioned, self._attached(message))
        return Plan(candidate, subscription, said, subscription.content or wanted.content)

    def _attached(self, message: StoredMessage) -> str:
        if len(message.media) > 1:
            count = len(message.media)
            return ngettext("%(count)d attachment", "%(count)d attachments", count) % {"count": count}
        return next((str(self._files[ref]) for ref in message.media if ref in self._files), "")


def _memberships(
    candidates: Iterable[Candidate], conversations: dict[ConversationId, Conversation]
) -> dict[tuple[ConversationId, UserId], Membership]:
    wanted: dict[ConversationId, set[UserId]] = defaultdict(set)
    for candidate in candidates:
        wanted[candidate.conversation].add(candidate.user)
    store = container.conversation_store()
    inline = [id_ for id_, found in conversations.items() if found.members is not None]
    found = {
        (id_, place.user_id): place
        for id_, places in store.rosters(inline).items()
        for place in places
        if place.user_id in wanted[id_]
    }
    for id_ in wanted.keys() - set(inline):
        found |= {(id_, place.user_id): place for place in _large(id_, wanted[id_])}
    return found


def _large(conversation: ConversationId, users: Collection[UserId]) -> list[Membership]:
    """Return the memberships of these users, a page of members at a time, between the first and the last of them."""
    store = container.conversation_store()
    after, last = UserId(min(users) - 1), max(users)
    found: list[Membership] = []
    while after < last:
        page = store.members(conversation, after=after, limit=_PAGE)
        found += [place for place in page if place.user_id in users]
        if len(page) < _PAGE:
            break
        after = page[-1].user_id
    return found


def badges(users: Collection[UserId]) -> dict[UserId, int]:
    """Return how many messages each was pushed, or is about to be, and has not read since. One query."""
    told = (Push.State.WAITING, Push.State.SENT, Push.State.COLLAPSED)
    rows = Push.objects.filter(user_id__in=users, state__in=told).values_list("user_id")
    return {UserId(user): count for user, count in rows.annotate(Count("message_id", distinct=True))}
