"""People and bots, the devices they are signed in on, and whom they have blocked."""

import secrets
from hashlib import sha256
from typing import Final

from django.contrib.auth.models import AbstractUser
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from messaging.domain.ids import MediaId, new_random_id

username_validator = RegexValidator(
    r"^[a-z0-9][a-z0-9_.-]{1,31}\Z",
    _("2 to 32 characters: lower-case letters, digits, and . _ - after the first."),
)


class PresenceChoice(models.TextChoices):
    """To whom somebody shows when they are online and when they last were; and, in return, whose they see."""

    EVERYONE = "everyone", _("Everyone")
    CONTACTS = "contacts", _("People I have a conversation with")
    NOBODY = "nobody", _("Nobody")


class User(AbstractUser):
    """A person, or a bot (see ``Bot``). The id is random, so that it tells nothing of how many there are."""

    id = models.BigIntegerField(primary_key=True, default=new_random_id, editable=False)
    username = models.CharField(max_length=32, unique=True, validators=[username_validator])
    display_name = models.CharField(max_length=80, blank=True)
    #: Whether it is a program's account; everybody is shown that.
    is_bot = models.BooleanField(default=False, editable=False)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    #: What others read on the profile, as its owner writes it.
    about = models.CharField(max_length=140, blank=True, default="", db_default="")
    #: The file that is its picture; only ``messaging.media.portraits`` changes it.
    picture_id = models.BigIntegerField(null=True, editable=False)
    #: Whether others may see that the user is online, and when they last were.
    share_presence = models.BooleanField(default=True)
    #: Code of the language of pages, mails and pushes; empty: pages as the browser asks.
    language = models.CharField(max_length=16, blank=True)
    #: Whether the user sees what is behind links, and has it fetched for links that they send.
    show_previews = models.BooleanField(default=True)
    #: Where it is shared: also with people with whom the user has no conversation.
    presence_public = models.BooleanField(default=False, db_default=False)
    #: Since when moderators keep the user out, until when (null: until they say otherwise), and what the user is told.
    suspended_at = models.DateTimeField(null=True, blank=True, editable=False)
    suspended_until = models.DateTimeField(null=True, blank=True, editable=False)
    suspension_reason = models.CharField(max_length=300, blank=True, editable=False)

    #: Since when the account is closed, to be erased: nobody signs in, and members are told its names no more.
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)

    first_name = None  # type: ignore[assignment]  # one name, as its owner writes it
    last_name = None  # type: ignore[assignment]

    @property
    def is_suspended(self) -> bool:
        """Whether moderators keep the user out now."""
        until = self.suspended_until
        return self.suspended_at is not None and (until is None or until > timezone.now())

    @property
    def picture(self) -> MediaId | None:
        """The file that is its picture; None for none."""
        return None if self.picture_id is None else MediaId(self.picture_id)

    @property
    def presence(self) -> PresenceChoice:
        """To whom the user shows when they are online."""
        if not self.share_presence:
            return PresenceChoice.NOBODY
        return PresenceChoice.EVERYONE if self.presence_public else PresenceChoice.CONTACTS

    @property
    def kept_out(self) -> "User | None":
        """The user whose suspension keeps this one out now: itself, or the owner of a bot; None where none does."""
        if self.is_suspended:
            return self
        owner = self.bot.owner if self.is_bot else None
        return owner if owner is not None and owner.is_suspended else None

    def get_full_name(self) -> str:
        """Return the display name, or the username where there is none."""
        return self.display_name or self.username

    def get_short_name(self) -> str:
        """Return the same as ``get_full_name``."""
        return self.get_full_name()


#: What a bot's token can be good for: requests that change nothing, and those that do.
READ: Final = "read"
WRITE: Final = "write"
SCOPES: Final = (READ, WRITE)


def token_digest(token: str) -> str:
    """Return what is stored of a bearer token. The token has 256 random bits, so a plain digest is enough."""
    return sha256(token.encode()).hexdigest()


def new_token() -> str:
    """Return a fresh bearer token; ``[A-Za-z0-9_-]`` only, so that it fits a WebSocket subprotocol."""
    return secrets.token_urlsafe(32)


class Bot(models.Model):
    """What is known of a program's account beside the account (docs/decisions/0080)."""

    class Reach(models.TextChoices):
        """Who may begin a direct conversation with it."""

        EVERYONE = "everyone", "Everybody"
        OWNER = "owner", "Its owner only"

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="bot")
    #: Who answers for it; null: the installation, by its staff.
    owner = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="bots")
    description = models.CharField(max_length=300, blank=True)
    direct = models.CharField(max_length=8, choices=Reach, default=Reach.EVERYONE)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"@{self.user.username}"


class Device(models.Model):
    """One place where a user is signed in: a bearer token (app, bot), a session (browser) or an address (webhook).

    Revoking it ends the token or session at once and closes its sockets within a second.
    """

    class Kind(models.TextChoices):
        TOKEN = "token"  # noqa: S105  # a kind, not a secret
        WEB = "web"
        #: A bot's token, which may be good for less than the bot is (``scopes``, ``conversations``).
        BOT = "bot"
        #: The secret in the address by which others write into one conversation as the bot. It is no bearer token.
        HOOK = "hook"

    id = models.BigIntegerField(primary_key=True, default=new_random_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="devices")
    kind = models.CharField(max_length=8, choices=Kind)
    name = models.CharField(max_length=120)
    token_digest = models.CharField(max_length=64, unique=True, null=True)
    session_key = models.CharField(max_length=40, unique=True, null=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    #: Of a bot's token: some of ``SCOPES``. Null: all that its user may.
    scopes = models.JSONField(null=True)
    #: Of a bot's token or hook: ids of the conversations that it is good for. Null: all of its user's.
    conversations = models.JSONField(null=True)

    class Meta:
        indexes = [models.Index(fields=["user", "revoked_at"])]

    def __str__(self) -> str:
        return self.name

    @property
    def is_whole(self) -> bool:
        """Whether it is good for all that its user may do: a socket, which shows everything, asks for that."""
        return self.conversations is None and (self.scopes is None or set(SCOPES) <= set(self.scopes))


class Identity(models.Model):
    """Who a user is at the OpenID provider (docs/decisions/0078): who is it there is signed in here."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=255)
    #: By which the provider knows the person, for ever.
    subject = models.CharField(max_length=255)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "identities"
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="one_user_per_identity"),
            models.UniqueConstraint(fields=["user", "issuer"], name="one_identity_per_issuer"),
        ]


class Block(models.Model):
    """``owner`` does not want to hear from ``target``."""

    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="blocks_made")
    target = models.ForeignKey(User, on_delete=models.CASCADE, related_name="blocks_received")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "target"], name="one_block_per_pair"),
            models.CheckConstraint(condition=~models.Q(owner=models.F("target")), name="no_block_of_self"),
        ]
