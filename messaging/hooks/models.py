"""Where bots have events sent, and each event on its way."""

from typing import Final, get_args

from django.db import models
from django.utils import timezone

from accounts.models import Bot
from messaging.domain.events import HookKind
from messaging.domain.ids import new_random_id

#: What an endpoint can ask for. ``mention``: messages that mention the bot, where ``message.created`` is too much.
EVENTS: Final[tuple[str, ...]] = (*get_args(HookKind), "mention")


class Endpoint(models.Model):
    """An address to which a bot has events of its conversations sent (docs/decisions/0082)."""

    id = models.BigIntegerField(primary_key=True, default=new_random_id, editable=False)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="endpoints")
    url = models.CharField(max_length=500)
    #: Sealed (``signing``): it has to be known to sign with it.
    secret = models.TextField()
    #: Some of ``EVENTS``.
    events = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    #: Why and since when nothing is sent any more; null: it is on.
    off_at = models.DateTimeField(null=True)
    off_reason = models.CharField(max_length=120, blank=True)
    #: Failures in a row, since when, and until when nobody tries.
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    paused_until = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=160, blank=True)
    last_success_at = models.DateTimeField(null=True)
    #: Whoever sends to it does so until then; nobody else meanwhile.
    leased_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.url} of {self.bot}"


class Delivery(models.Model):
    """One event for one endpoint: one row, however often it is told. It says where to look, and not what was said."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        #: The bot could not see it any more when it was to be sent.
        SKIPPED = "skipped", "Not the bot's to see any more"
        DEAD = "dead", "Given up"

    id = models.BigIntegerField(primary_key=True, default=new_random_id, editable=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    type = models.CharField(max_length=20)
    #: Bare ids: they may live in another database. ``at``: its place in the order of the conversation.
    conversation_id = models.BigIntegerField()
    at = models.BigIntegerField()
    target = models.BigIntegerField()
    actor = models.BigIntegerField()
    emoji = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    next_at = models.DateTimeField(default=timezone.now)
    last_error = models.CharField(max_length=160, blank=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["endpoint", "at", "type"], name="one_delivery_per_event")]
        indexes = [
            models.Index(fields=["endpoint", "state", "at"]),
            models.Index(fields=["state", "next_at"]),
            models.Index(fields=["done_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"

    @property
    def ref(self) -> str:
        """Return what the event is called outside."""
        return f"evt_{self.pk:x}"
