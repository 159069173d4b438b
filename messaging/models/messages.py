"""Messages, their index by user, and delivery receipts."""

from django.db import models


class MessageRow(models.Model):
    """One message. The unique dedupe key makes a second copy impossible whatever the router does."""

    pk = models.CompositePrimaryKey("conversation_id", "message_id")
    conversation_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    sender_id = models.BigIntegerField()
    client_msg_id = models.BinaryField(max_length=16)
    kind = models.CharField(max_length=8, default="text")
    body = models.BinaryField()
    media_refs = models.JSONField(default=list)
    prev_id = models.BigIntegerField(null=True)
    reply_to = models.BigIntegerField(null=True)
    edited_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "messages"
        constraints = [
            models.UniqueConstraint(
                fields=["conversation_id", "sender_id", "client_msg_id"], name="one_message_per_client_id"
            )
        ]


class MessageByUserRow(models.Model):
    """A message in the stream of one user (DMs and small groups), for offline sync and push."""

    pk = models.CompositePrimaryKey("user_id", "message_id", "conversation_id")
    user_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    conversation_id = models.BigIntegerField()

    class Meta:
        db_table = "messages_by_user"


class ReceiptRow(models.Model):
    """A device has a message."""

    pk = models.CompositePrimaryKey("conversation_id", "message_id", "user_id", "device_id")
    conversation_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    device_id = models.BigIntegerField()
    delivered_at_ms = models.BigIntegerField()

    class Meta:
        db_table = "receipts"
