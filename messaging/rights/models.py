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
