"""What is kept how long, and what became of it."""

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from messaging.domain.messages import ConversationType

code_validator = RegexValidator(r"^[A-Z]{2}(-[A-Z0-9]{1,3})?\Z", "A code as in ISO 3166: DE, US, US-CA.")


class Jurisdiction(models.Model):
    """Whose law holds for a user, or for a conversation in its own right. Without a row: CHAT_JURISDICTION."""

    user_id = models.BigIntegerField(null=True, unique=True)
    conversation_id = models.BigIntegerField(null=True, unique=True)
    code = models.CharField(max_length=6, validators=[code_validator])

    class Meta:
        db_table = "jurisdictions"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(user_id=None, conversation_id__isnull=False)
                | models.Q(user_id__isnull=False, conversation_id=None),
                name="jurisdiction_of_one_thing",
            )
        ]

    def __str__(self) -> str:
        return self.code


class RetentionPolicy(models.Model):
    """How long messages have to be kept, and when they have to be gone, where both columns match.

    Of all policies that match, the longest minimum and the shortest maximum hold; see ``retention.Rule``.
    """

    jurisdiction = models.CharField(max_length=6, blank=True, validators=[code_validator], help_text="Empty: any.")
    conversation_type = models.CharField(
        max_length=12,
        blank=True,
        choices=[(kind.value, kind.value) for kind in ConversationType],
        help_text="Empty: any.",
    )
    min_days = models.PositiveIntegerField(null=True, blank=True, help_text="Kept at least so long. Empty: no duty.")
    max_days = models.PositiveIntegerField(null=True, blank=True, help_text="Gone after so long. Empty: never.")
    note = models.CharField(max_length=200, help_text="Which law or rule says so.")

    class Meta:
        db_table = "retention_policies"
        verbose_name_plural = "retention policies"
        constraints = [
            models.UniqueConstraint(fields=["jurisdiction", "conversation_type"], name="one_policy_for_each"),
            models.CheckConstraint(
                condition=models.Q(min_days__isnull=False) | models.Q(max_days__gte=1), name="a_policy_says_something"
            ),
        ]

    def __str__(self) -> str:
        return self.note


class Sweep(models.Model):
    """One way through all conversations. ``position``: up to where it came; it goes on from there."""

    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    position = models.BigIntegerField(null=True)
    #: Whoever sweeps says until when; nobody else does before that.
    claimed_until = models.DateTimeField(null=True)
    conversations = models.BigIntegerField(default=0)
    #: Messages that were over their time; of these, what went, what a hold kept, and what could not be deleted.
    due = models.BigIntegerField(default=0)
    deleted = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)

    class Meta:
        db_table = "retention_sweeps"
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"sweep {self.pk}"
