"""What was begun and not sent. Users and conversations are bare ids: they may live elsewhere."""

from django.db import models


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
