"""Whose bots there are, and what gets in as them (docs/decisions/0080)."""

from django.conf import settings
from django.db.models import Q

from accounts.models import Bot, Device, User
from accounts.selectors.credentials import signed_in
from messaging.domain.errors import NotFound
from messaging.domain.ids import DeviceId, UserId

#: Who may look after the bots of the installation.
PERMISSION = "accounts.change_bot"


def may_make(user: User) -> bool:
    """Return whether the user may make bots (CHAT_BOTS)."""
    if user.is_bot:
        return False
    choice: str = settings.BOTS
    return choice == "everyone" or (choice == "staff" and user.is_staff)


def may_make_for_all(user: User) -> bool:
    """Return whether the user may make bots that belong to the installation."""
    return may_make(user) and user.is_staff and user.has_perm(PERMISSION)


def _managed(user: User) -> Q:
    mine = Q(owner=user)
    return mine | Q(owner=None) if user.is_staff and user.has_perm(PERMISSION) else mine


def bots_of(user: User) -> list[Bot]:
    """Return the bots that the user looks after, the newest first: their own, and of staff the installation's."""
    rows = Bot.objects.filter(_managed(user), user__closed_at=None).select_related("user", "owner")
    return list(rows.order_by("-created_at"))


def owned_by(user: User) -> list[Bot]:
    """Return the bots that the user answers for, the oldest first; not the installation's, whoever looks after them."""
    rows = Bot.objects.filter(owner=user, user__closed_at=None).select_related("user")
    return list(rows.order_by("created_at", "pk"))


def bot_of(user: User, bot_id: UserId) -> Bot:
    """Return a bot that the user looks after. Raises NotFound: there is none, or it is another's."""
    rows = Bot.objects.filter(_managed(user), pk=bot_id, user__closed_at=None).select_related("user", "owner")
    bot = rows.first()
    if bot is None:
        raise NotFound("no such bot")
    return bot


def credentials_of(bot: Bot, kind: Device.Kind) -> list[Device]:
    """Return the bot's tokens, or its webhooks, that are good, the newest first."""
    return list(Device.objects.filter(signed_in(), user_id=bot.pk, kind=kind).order_by("-created_at", "-pk"))


def credential_of(bot: Bot, device_id: DeviceId, kind: Device.Kind) -> Device:
    """Return one of them. Raises NotFound: it is revoked, or another's."""
    device = Device.objects.filter(signed_in(), pk=device_id, user_id=bot.pk, kind=kind).first()
    if device is None:
        raise NotFound("no such token" if kind == Device.Kind.BOT else "no such webhook")
    return device
