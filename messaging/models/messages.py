"""Messages, what was changed about them, and delivery receipts."""

from django.db import models


class MessageRow(models.Model):
    """One message. The unique dedupe key makes a second copy impossible whatever the router does.

    ``body`` is as it was written; the newest edit, the deletion and the newest decision of moderators are folded in
    beside it, by their changes' ids. Mentions are ids with a space before, between and after, so that one can be
    looked for; null: none.
    """

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
    forwarded = models.BooleanField(db_default=False)
    edit_id = models.BigIntegerField(null=True)
    edited_body = models.BinaryField(null=True)
    delete_id = models.BigIntegerField(null=True)
    takedown_id = models.BigIntegerField(null=True)
    withheld = models.BooleanField(db_default=False)
    mentions = models.TextField(null=True)
    edited_mentions = models.TextField(null=True)

    class Meta:
        db_table = "messages"
        constraints = [
            models.UniqueConstraint(
                fields=["conversation_id", "sender_id", "client_msg_id"], name="one_message_per_client_id"
            )
        ]


class MessageChangeRow(models.Model):
    """One edit, deletion, reaction or decision of moderators, at its place in the order: the history of a message."""

    pk = models.CompositePrimaryKey("conversation_id", "change_id")
    conversation_id = models.BigIntegerField()
    change_id = models.BigIntegerField()
    target_id = models.BigIntegerField()
    actor_id = models.BigIntegerField()
    client_msg_id = models.BinaryField(max_length=16)
    kind = models.CharField(max_length=8)
    body = models.BinaryField()
    emoji = models.CharField(max_length=64, blank=True)
    is_on = models.BooleanField()
    count = models.PositiveIntegerField()
    prev_id = models.BigIntegerField(null=True)
    mentions = models.TextField(null=True)

    class Meta:
        db_table = "message_changes"
        constraints = [
            models.UniqueConstraint(
                fields=["conversation_id", "actor_id", "client_msg_id"], name="one_change_per_client_id"
            )
        ]


class ReactionRow(models.Model):
    """Where a user's newest change with one emoji left it: put there, or taken back."""

    pk = models.CompositePrimaryKey("conversation_id", "target_id", "emoji", "user_id")
    conversation_id = models.BigIntegerField()
    target_id = models.BigIntegerField()
    emoji = models.CharField(max_length=64)
    user_id = models.BigIntegerField()
    change_id = models.BigIntegerField()
    is_on = models.BooleanField()

    class Meta:
        db_table = "message_reactions"


class PinRow(models.Model):
    """Where the newest pin of a message left it: pinned, or taken down."""

    pk = models.CompositePrimaryKey("conversation_id", "target_id")
    conversation_id = models.BigIntegerField()
    target_id = models.BigIntegerField()
    change_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    is_on = models.BooleanField()

    class Meta:
        db_table = "message_pins"


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
