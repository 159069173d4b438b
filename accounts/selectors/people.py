"""Reads about people, for those who only hold ids."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from django.db.models import Q

from accounts.models import Block, Bot, User
from messaging.domain.ids import MediaId, UserId


@dataclass(frozen=True, slots=True)
class UserCard:
    """What others see of a user."""

    id: UserId
    username: str
    display_name: str
    is_bot: bool = False
    picture: MediaId | None = None


#: What is shown of somebody whose account is closed or erased.
_GONE: Final = ("deleted", "Deleted account")


def display_names(ids: Iterable[UserId]) -> dict[UserId, UserCard]:
    """Return the cards of those who exist, without the names of those whose accounts are closed."""
    return {
        id_: card if closed_at is None else UserCard(id_, *_GONE) for id_, (card, closed_at) in _on_file(ids).items()
    }


def cards_for(viewer: UserId, ids: Iterable[UserId]) -> dict[UserId, UserCard]:
    """Return the ``display_names`` as ``viewer`` sees them: across a block nobody has a picture."""
    return {card.id: card for card in _as_seen(viewer, display_names(ids).values())}


def _as_seen(viewer: UserId, cards: Iterable[UserCard]) -> list[UserCard]:
    found = list(cards)
    pictured = [card.id for card in found if card.picture is not None]
    # Most people have none, and nobody asks for what is between them then.
    hidden = blocked_pairs(viewer, pictured) if pictured else set()
    return [replace(card, picture=None) if card.id in hidden else card for card in found]


def names_on_file(ids: Iterable[UserId]) -> dict[UserId, UserCard]:
    """Return the cards with the names that are stored: for the staff, who may have to keep them for a case."""
    return {id_: card for id_, (card, _) in _on_file(ids).items()}


def _on_file(ids: Iterable[UserId]) -> dict[UserId, tuple[UserCard, datetime | None]]:
    rows = User.objects.filter(pk__in=set(ids)).values_list(*_CARD, "closed_at")
    return {UserId(row[0]): (_card(*row[:5]), row[5]) for row in rows}


_CARD: Final = ("id", "username", "display_name", "is_bot", "picture_id")


def _card(id_: int, username: str, name: str, is_bot: bool, picture: int | None = None) -> UserCard:
    return UserCard(UserId(id_), username, name or username, is_bot, None if picture is None else MediaId(picture))


def reachable(ids: Iterable[UserId]) -> set[UserId]:
    """Return those who exist and whose accounts are not closed."""
    rows = User.objects.filter(pk__in=set(ids), closed_at=None)
    return {UserId(id_) for id_ in rows.values_list("id", flat=True)}


def closed_bots(ids: Iterable[UserId], *, asker: UserId) -> set[UserId]:
    """Return those bots with which ``asker`` may not begin a direct conversation: their owners alone may."""
    rows = Bot.objects.filter(user_id__in=set(ids), direct=Bot.Reach.OWNER).exclude(owner_id=asker)
    return {UserId(id_) for id_ in rows.values_list("user_id", flat=True)}


def user_named(username: str) -> UserId | None:
    """Return who has exactly this user name; its case does not count."""
    if "\0" in username:
        return None
    found = User.objects.filter(username=username.lower()).values_list("id", flat=True).first()
    return None if found is None else UserId(found)


def blocked_either_way(a: UserId, b: UserId) -> bool:
    """Return whether one of the two has blocked the other."""
    return Block.objects.filter(Q(owner_id=a, target_id=b) | Q(owner_id=b, target_id=a)).exists()


def blocks_between(pairs: Iterable[tuple[UserId, UserId]]) -> set[tuple[UserId, UserId]]:
    """Return those pairs of which one has blocked the other. One query."""
    wanted = set(pairs)
    people = {user for pair in wanted for user in pair}
    rows = Block.objects.filter(owner_id__in=people, target_id__in=people).values_list("owner_id", "target_id")
    found = {(UserId(owner), UserId(target)) for owner, target in rows}
    return {(a, b) for a, b in wanted if (a, b) in found or (b, a) in found}


def blocked_pairs(user: UserId, others: Iterable[UserId]) -> set[UserId]:
    """Return those of ``others`` with a block between them and ``user``."""
    wanted = set(others)
    rows = Block.objects.filter(Q(owner_id=user, target_id__in=wanted) | Q(owner_id__in=wanted, target_id=user))
    return {UserId(t if o == user else o) for o, t in rows.values_list("owner_id", "target_id")}


@dataclass(frozen=True, slots=True)
class PresenceRule:
    """To whom somebody shows presence: to anybody at all, and also to people without a conversation in common."""

    shares: bool
    public: bool


def presence_rules(ids: Iterable[UserId]) -> dict[UserId, PresenceRule]:
    """Return how each of those whose accounts are in use shows their presence. One query."""
    rows = User.objects.filter(pk__in=set(ids), is_active=True).values_list("id", "share_presence", "presence_public")
    return {UserId(id_): PresenceRule(shares, public) for id_, shares, public in rows}


def about(user: UserId) -> str:
    """Return what a user says of themselves; nothing of who is not there, or whose account is closed."""
    found = User.objects.filter(pk=user, closed_at=None).values_list("about", flat=True).first()
    return found or ""


def shares_presence(ids: Iterable[UserId]) -> set[UserId]:
    """Return those who let others see their presence."""
    rows = User.objects.filter(pk__in=set(ids), share_presence=True, is_active=True).values_list("id", flat=True)
    return {UserId(id_) for id_ in rows}


def shows_previews(ids: Iterable[UserId]) -> set[UserId]:
    """Return those who want to see what is behind links, and others to see it behind theirs."""
    rows = User.objects.filter(pk__in=set(ids), show_previews=True).values_list("id", flat=True)
    return {UserId(id_) for id_ in rows}


def last_seen(ids: Iterable[UserId]) -> dict[UserId, datetime | None]:
    """Return when each was last connected."""
    return {UserId(i): at for i, at in User.objects.filter(pk__in=set(ids)).values_list("id", "last_seen_at")}


def _named(query: str) -> Q:
    """Return the condition of a user whose user name or display name, or a word of it, begins with ``query``."""
    text = query.strip().lstrip("@")
    matches = Q(username__startswith=text.lower()) | Q(display_name__istartswith=text)
    return matches | Q(display_name__icontains=f" {text}")


def named_among(ids: Collection[UserId], query: str) -> set[UserId]:
    """Return those of ``ids``, a thousand at most, whom ``search`` would look at. One query."""
    return {UserId(id_) for id_ in User.objects.filter(_named(query), pk__in=ids).values_list("id", flat=True)}


def search(*, viewer: UserId, query: str, limit: int = 20) -> list[UserCard]:
    """Return people whose user name or display name, or a word of it, begins with ``query``; best match first.

    The viewer is not among them, nor is anybody who has blocked the viewer.
    """
    rows = (
        User.objects.filter(_named(query), is_active=True)
        .exclude(pk=viewer)
        .exclude(blocks_made__target_id=viewer)
        .order_by("username")
        .values_list(*_CARD)[:limit]
    )
    return _as_seen(viewer, [_card(*row) for row in rows])


def blocked_by(user: UserId) -> list[UserCard]:
    """Return whom ``user`` has blocked, newest first; without pictures, as everywhere across a block."""
    rows = (
        Block.objects.filter(owner_id=user, target__closed_at=None)
        .order_by("-created_at")
        .values_list("target_id", "target__username", "target__display_name", "target__is_bot")
    )
    return [_card(*row) for row in rows]
