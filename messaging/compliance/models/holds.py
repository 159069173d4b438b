"""Legal holds. A hold that was released stays as a row: what was kept, and for how long, is part of the case."""

from django.db import models
from django.utils import timezone


class Hold(models.Model):
    """What may not be deleted, and for which case.

    A hold names a user, or a conversation, or neither: then it is everything in its time. That of a user is of every
    conversation in which the user is or ever was. ``begins_at`` and ``ends_at`` bound what was sent, not the hold.
    Users and conversations are bare ids: they may live in another database, and outlive their accounts here.
    """

    case = models.CharField(max_length=120, db_index=True)
    reason = models.TextField()
    user_id = models.BigIntegerField(null=True, db_index=True)
    conversation_id = models.BigIntegerField(null=True, db_index=True)
    begins_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    placed_at = models.DateTimeField(default=timezone.now)
    placed_by = models.BigIntegerField()
    #: The first of the two who release it asks, the second agrees.
    release_requested_at = models.DateTimeField(null=True)
    release_requested_by = models.BigIntegerField(null=True)
    released_at = models.DateTimeField(null=True, db_index=True)
    released_by = models.BigIntegerField(null=True)

    class Meta:
        db_table = "legal_holds"
        verbose_name = "legal hold"
        default_permissions = ("add", "view")
        permissions = [("release_hold", "Can ask for and agree to the release of a legal hold")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(user_id=None) | models.Q(conversation_id=None), name="hold_on_one_thing"
            ),
            models.CheckConstraint(
                condition=models.Q(released_by=None) | ~models.Q(released_by=models.F("release_requested_by")),
                name="two_release_a_hold",
            ),
        ]

    def __str__(self) -> str:
        return f"hold {self.pk} (case {self.case})"
