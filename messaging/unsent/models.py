"""What was begun, and what is to be sent later. Users and conversations are bare ids: they may live elsewhere."""

from django.db import models
from django.utils import timezone

from messaging.domain.ids import new_random_id


class Draft(models.Model):
    """What a user has begun in a conversation, for their other devices. Nobody else ever sees it."""

    user_id = models.BigIntegerField()
    conversation_id = models.BigIntegerField()
    body = models.TextField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user_id", "conversation_id"], name="one_draft")]

    def __str__(self) -> str:
        return f"of {self.user_id} in {self.conversation_id}"


class ScheduledMessage(models.Model):
    """A message that the server is to send later (docs/decisions/0074). Its row goes when it is in the log.

    Nobody but its author sees it before that.
    """

    class State(models.TextChoices):
        """``sending`` is frozen: it may be in the log already."""

        WAITING = "waiting"
        SENDING = "sending"
        FAILED = "failed"

    id = models.BigIntegerField(primary_key=True, default=new_random_id, editable=False)
    user_id = models.BigIntegerField()
    conversation_id = models.BigIntegerField()
    #: Of the message that it becomes, chosen by its author's client at the beginning: what makes it one in the log.
    client_msg_id = models.BinaryField(max_length=16)
    body = models.TextField(blank=True)
    #: References as on the wire: ``f_…``, and ``u_…`` or ``all``.
    media = models.JSONField(default=list)
    mentions = models.JSONField(default=list)
    reply_to = models.CharField(max_length=40, null=True)
    send_at = models.DateTimeField()
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    #: Since when somebody sends it.
    taken_at = models.DateTimeField(null=True)
    #: Why it was not sent: a code of the protocol's, and a sentence for its author.
    code = models.CharField(max_length=20, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user_id", "conversation_id", "client_msg_id"], name="scheduled_once")
        ]
        indexes = [models.Index(fields=["state", "send_at"], name="scheduled_by_time")]

    def __str__(self) -> str:
        return f"of {self.user_id} in {self.conversation_id}"
