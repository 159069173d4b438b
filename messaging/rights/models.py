"""Copies of people's own data, made on request, and gone after a week."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class DataExport(models.Model):
    """One copy of one person's data. The file is in parts in the database: every process that serves it has that."""

    class State(models.TextChoices):
        REQUESTED = "requested"
        READY = "ready"
        EXPIRED = "expired"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="data_exports")
    state = models.CharField(max_length=16, choices=State, default=State.REQUESTED)
    requested_at = models.DateTimeField(default=timezone.now)
    ready_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    size = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=models.Q(state="requested"), name="one_export_in_the_making_per_user"
            )
        ]

    def __str__(self) -> str:
        return f"Export {self.pk}"


class DataExportPart(models.Model):
    """A piece of the file of an export, in order of ``number``."""

    export = models.ForeignKey(DataExport, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["export", "number"], name="one_part_per_number")]


class Erasure(models.Model):
    """The end of one account, from the day on which it was asked for. It stays on record, with a number for a name.

    ``after`` and ``message_after`` say how far it is: which conversation was done last, and up to where the next is.
    """

    class State(models.TextChoices):
        ASKED = "asked", "asked for"
        ERASING = "erasing", "under way"
        HELD = "held", "waits: some is kept"
        DONE = "done", "done"
        CANCELLED = "cancelled", "taken back"

    #: In these states an account has one of its own.
    OPEN = (State.ASKED, State.ERASING, State.HELD)

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="erasures")
    state = models.CharField(max_length=10, choices=State, default=State.ASKED)
    asked_at = models.DateTimeField(default=timezone.now)
    #: Who of the staff did; null: the person.
    asked_by = models.BigIntegerField(null=True)
    #: When the account is closed, if nobody signs in before.
    due_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)
    #: Before that nobody looks at it: somebody is at it, or a hold is not over.
    next_at = models.DateTimeField(default=timezone.now)
    after = models.BigIntegerField(default=0)
    message_after = models.BigIntegerField(default=0)
    #: Whether every conversation was gone through; what is left then is in ``ErasureRest``.
    walked = models.BooleanField(default=False)
    conversations = models.PositiveIntegerField(default=0)
    messages = models.PositiveBigIntegerField(default=0)
    #: Whether the person was told that it takes longer.
    told = models.BooleanField(default=False)

    class Meta:
        default_permissions = ("view",)
        permissions = [("order_erasure", "Can have an account erased")]
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=models.Q(state__in=["asked", "erasing", "held"]),
                name="one_erasure_at_a_time",
            )
        ]
        indexes = [models.Index(fields=["state", "next_at"], name="erasures_due")]

    def __str__(self) -> str:
        return f"Erasure {self.pk}"


class ErasureRest(models.Model):
    """A conversation in which something was held when an erasure came by. ``message_id``: the first of it.

    It is looked through again from there whenever what is held has changed: ``ranges`` are those that were looked at
    last, ``at`` is how far that is, ``still`` the first that was found held, ``looked`` whether it came to its end.
    """

    erasure = models.ForeignKey(Erasure, on_delete=models.CASCADE, related_name="rests")
    conversation_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    ranges = models.JSONField(default=list)
    at = models.BigIntegerField(default=0)
    still = models.BigIntegerField(null=True)
    looked = models.BooleanField(default=False)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["erasure", "conversation_id"], name="one_rest_per_conversation")]
