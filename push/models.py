"""Where pushes go, what people want of them, and what became of each (design section 8)."""

from hashlib import sha256

from django.db import models
from django.utils import timezone

from accounts.models import Device, User


class Provider(models.TextChoices):
    """Who carries a push to the device."""

    APNS = "apns", "Apple (APNs)"
    FCM = "fcm", "Google (FCM)"
    WEBPUSH = "webpush", "Web Push"


class Content(models.TextChoices):
    """What of a message a push shows, to the carrier and on a locked screen."""

    FULL = "full", "Name and message"
    SENDER = "sender", "Name only"
    NOTHING = "nothing", "No name, no message"


class Environment(models.TextChoices):
    """Which of Apple's services knows the token."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"


def address_digest(provider: str, address: str) -> str:
    """Return what makes an address the same address."""
    return sha256(f"{provider}:{address}".encode()).hexdigest()


class Subscription(models.Model):
    """A device's address at a provider. An address belongs to one device: the last that registered it."""

    device = models.OneToOneField(Device, on_delete=models.CASCADE, primary_key=True, related_name="push")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    provider = models.CharField(max_length=8, choices=Provider)
    #: A token, or for Web Push the endpoint's URL. Whoever knows it can address the device: it is never shown.
    address = models.TextField()
    address_digest = models.CharField(max_length=64, unique=True)
    #: Web Push: the browser's public key ``p256dh`` and secret ``auth``, base64url.
    keys = models.JSONField(default=dict, blank=True)
    environment = models.CharField(max_length=12, choices=Environment, default=Environment.PRODUCTION)
    #: APNs: the app's bundle id.
    topic = models.CharField(max_length=255, blank=True)
    enabled = models.BooleanField(default=True)
    #: Empty: as the user has set it for all devices.
    content = models.CharField(max_length=8, choices=Content, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_success_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=120, blank=True)
    last_error_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.get_provider_display()} of {self.device}"


class PushSettings(models.Model):
    """What a user wants, on all devices. No row: the defaults."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="push_settings")
    enabled = models.BooleanField(default=True)
    content = models.CharField(max_length=8, choices=Content, default=Content.FULL)
    #: From when until when, on the user's clock, nothing is pushed; over midnight where it ends before it begins.
    quiet_from = models.TimeField(null=True)
    quiet_until = models.TimeField(null=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    #: Whether a message that names the user is pushed where the conversation is muted.
    mentions_override_mute = models.BooleanField(default=True)
    #: Whether pushes that could not be sent in time come as one mail.
    email_summary = models.BooleanField(default=True)
    summary_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "push settings"


class Push(models.Model):
    """One push of one message to one device: at most one row, however often it is asked for.

    Users, conversations and messages are bare ids: they may live in another database.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        #: A later message of the conversation went in its place.
        COLLAPSED = "collapsed", "Replaced by a later one"
        #: Decided against when it was to be sent: read, muted, blocked …
        SKIPPED = "skipped", "Not wanted any more"
        DEAD = "dead", "Refused for good"
        #: Too late for a push; in the mail, where the user has one.
        SPILLED = "spilled", "Too late"
        #: Was sent, and taken back once the message was read elsewhere or deleted.
        WITHDRAWN = "withdrawn", "Taken back"

    conversation_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    sender_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    #: Why it is dead, was skipped, or waits for its next attempt.
    reason = models.CharField(max_length=120, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    #: When a waiting one is due. Whoever sends it moves this on first, so that nobody else does. None: never, it is too
    #: late for a push and waits for the mail.
    next_at = models.DateTimeField(default=timezone.now, null=True)
    #: Of whoever sends it, until ``next_at``.
    claim = models.UUIDField(null=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "pushes"
        constraints = [
            models.UniqueConstraint(fields=["conversation_id", "message_id", "device"], name="one_push_per_device")
        ]
        indexes = [
            models.Index(fields=["state", "next_at"]),
            models.Index(fields=["user_id", "conversation_id", "state"]),
            # The badge, and what else waits for a person, without a look at the rows.
            models.Index(fields=["user_id", "state", "message_id"]),
            models.Index(
                fields=["message_id", "user_id"], condition=models.Q(state="waiting"), name="push_waiting_by_age"
            ),
            models.Index(fields=["claim"], condition=models.Q(state="waiting"), name="push_claimed"),
            models.Index(fields=["created_at"]),
        ]

    def __str__(self) -> str:
        return f"Push to {self.device}"
