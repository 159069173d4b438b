"""Make bots, change and end them, and give them tokens: the only writer of bots (docs/decisions/0080)."""

import logging
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import SCOPES, Bot, Device, User, new_token, token_digest, username_validator
from accounts.selectors.bots import credentials_of, may_make, may_make_for_all
from accounts.services import closing
from accounts.services.devices import close_sockets, revoke_others
from chatproject import container
from messaging.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from messaging.domain.ids import ConversationId, DeviceId, UserId, device_ref, user_ref
from messaging.domain.messages import ConversationType
from messaging.selectors.access import require_member
from messaging.services.conversations import remove_member

logger = logging.getLogger(__name__)

#: Bots of one owner, tokens of one bot, and webhooks of one bot.
MAX_BOTS: Final = 20
MAX_TOKENS: Final = 20
MAX_HOOKS: Final = 50
MAX_TOKEN_DAYS: Final = 3_650
_PLACES: Final = 100
_EDITABLE: Final = frozenset({"display_name", "description", "direct"})


def make_bot(
    *,
    maker: User,
    username: str,
    display_name: str = "",
    description: str = "",
    direct: str = Bot.Reach.EVERYONE,
    for_all: bool = False,
) -> Bot:
    """Return a new bot of the maker's, or (``for_all``) of the installation.

    Raises:
        Forbidden: the maker may make none. InvalidInput: the user name is not acceptable.
        Conflict: it is taken, or there are ``MAX_BOTS`` already.
    """
    if not may_make(maker):
        raise Forbidden("you may not make bots on this server")
    if for_all and not may_make_for_all(maker):
        raise Forbidden("bots of the installation are made by its staff")
    name = username.strip().lower()
    try:
        username_validator(name)
    except ValidationError as error:
        raise InvalidInput(" ".join(error.messages)) from None
    owner = None if for_all else maker
    if Bot.objects.filter(owner=owner, user__closed_at=None).count() >= MAX_BOTS:
        raise Conflict(f"there are {MAX_BOTS} bots already; end one first")
    user = User(username=name, display_name=display_name.strip(), is_bot=True)
    # There is no way to sign in but by a token.
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            bot = Bot.objects.create(user=user, owner=owner, description=description.strip(), direct=direct)
    except IntegrityError:
        raise Conflict("this username is taken") from None
    logger.info("%s made the bot %s", user_ref(maker.pk), user_ref(user.pk))
    return bot


def change_bot(*, bot: Bot, **changes: str) -> Bot:
    """Change some of display name, description and who may begin a direct conversation with it."""
    unknown = changes.keys() - _EDITABLE
    if unknown:
        raise InvalidInput(f"cannot change {', '.join(sorted(unknown))}")
    if "display_name" in changes:
        bot.user.display_name = changes.pop("display_name").strip()
        bot.user.save(update_fields=["display_name"])
    for name, value in changes.items():
        setattr(bot, name, value.strip())
    bot.save(update_fields=list(changes))
    return bot


def end_bot(*, bot: Bot) -> None:
    """End a bot for good: its tokens and webhooks are void at once, it leaves its groups, its name is shown no more.

    What it wrote stays. Raises Unavailable: it is shut out, but did not leave everywhere; repeat it.
    """
    revoke_others(user=bot.user, keep=None)
    _leave_groups(UserId(bot.pk))
    closing.close(bot.user)
    logger.info("the bot %s was ended", user_ref(bot.pk))


def _leave_groups(bot: UserId) -> None:
    store = container.conversation_store()
    after = ConversationId(0)
    while page := store.places(bot, after=after, limit=_PLACES):
        after = page[-1].conversation_id
        found = store.get([place.conversation_id for place in page if place.active])
        for conversation in found.values():
            if conversation.type is not ConversationType.DM:
                remove_member(actor=bot, conversation_id=conversation.id, user=bot)


# --- what gets in as a bot ------------------------------------------------------------------------


def make_bot_token(
    *,
    bot: Bot,
    name: str,
    scopes: Collection[str] = SCOPES,
    conversations: Sequence[ConversationId] | None = None,
    expires_in_days: int | None = None,
) -> tuple[Device, str]:
    """Return a new token of the bot, and the secret, which nobody can read again.

    ``conversations``: those that it is good for; None: all that the bot is in, also later. ``expires_in_days``: None
    for a token that is good until it is revoked.

    Raises:
        InvalidInput: no scope, or none of ``SCOPES``; no conversation; a time that is not 1 to 3,650 days.
        NotFound: the bot is not in one of the conversations. Conflict: it has ``MAX_TOKENS`` already.
    """
    if not scopes or not set(scopes) <= set(SCOPES):
        raise InvalidInput(f"scopes: some of {', '.join(SCOPES)}")
    if expires_in_days is not None and not 1 <= expires_in_days <= MAX_TOKEN_DAYS:
        raise InvalidInput(f"expires_in_days: from 1 to {MAX_TOKEN_DAYS}, or null")
    if conversations is not None and not conversations:
        raise InvalidInput("conversations: name at least one, or null for all")
    for conversation in conversations or ():
        require_member(UserId(bot.pk), conversation)
    return _new(bot, Device.Kind.BOT, MAX_TOKENS, name, sorted(set(scopes)), conversations, expires_in_days)


def make_hook(*, bot: Bot, name: str, conversation: ConversationId) -> tuple[Device, str]:
    """Return a new webhook that writes into one conversation as the bot, and the secret of its address.

    Raises:
        NotFound: the bot is not in it. Conflict: it has ``MAX_HOOKS`` already.
    """
    require_member(UserId(bot.pk), conversation)
    return _new(bot, Device.Kind.HOOK, MAX_HOOKS, name, None, [conversation], None)


def _new(
    bot: Bot,
    kind: Device.Kind,
    most: int,
    name: str,
    scopes: list[str] | None,
    conversations: Sequence[ConversationId] | None,
    days: int | None,
) -> tuple[Device, str]:
    if len(credentials_of(bot, kind)) >= most:
        raise Conflict(f"the bot has {most} of these; revoke one first")
    token = new_token()
    device = Device.objects.create(
        user_id=bot.pk,
        kind=kind,
        name=name.strip()[:120] or kind.label,
        token_digest=token_digest(token),
        scopes=scopes,
        conversations=None if conversations is None else list(conversations),
        expires_at=None if days is None else timezone.now() + timedelta(days=days),
    )
    logger.info("%s has a new %s, %s", user_ref(bot.pk), kind, device_ref(device.pk))
    return device, token


def rotate(*, bot: Bot, device: Device) -> str:
    """Return a new secret for a token or webhook; the old one is void at once, and its sockets close."""
    token = new_token()
    if not Device.objects.filter(pk=device.pk, revoked_at=None).update(token_digest=token_digest(token)):
        raise NotFound("no such token")
    transaction.on_commit(lambda: close_sockets(UserId(bot.pk), [DeviceId(device.pk)]))
    logger.info("%s of %s has a new secret", device_ref(device.pk), user_ref(bot.pk))
    return token
