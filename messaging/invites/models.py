"""Links into groups, and who asks to be let in. Users and conversations are bare ids: they may live elsewhere."""

import secrets

from django.db import models
from django.utils import timezone


def new_token() -> str:
    """Return a token of 128 random bits, to be a part of an address."""
    return secrets.token_urlsafe(16)


class Invite(models.Model):
    """A link into a group. Whoever has its token may join, or ask to, while it is in force."""

    token = models.CharField(primary_key=True, max_length=32, default=new_token, editable=False)
    conversation_id = models.BigIntegerField(db_index=True)
    created_by = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True)
    max_uses = models.PositiveIntegerField(null=True)
    #: How many came in by it, and how many of its requests are not decided yet.
    uses = models.PositiveIntegerField(default=0)
    #: Whether an admin has to let people in.
    approval = models.BooleanField(default=False)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"into {self.conversation_id}"


class JoinRequest(models.Model):
    """Somebody who asked to be let in; the row goes when they are, and stays for a while when they are not."""

    conversation_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    invite = models.ForeignKey(Invite, on_delete=models.SET_NULL, null=True)
    created_at = models.DateTimeField(default=timezone.now)
    declined_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation_id", "user_id"], name="one_join_request")]

    def __str__(self) -> str:
        return f"{self.user_id} into {self.conversation_id}"
