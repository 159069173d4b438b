"""Exports for a case. One that is over stays as a row: what was given out, and when, is part of the case."""

from django.db import models
from django.utils import timezone


class Export(models.Model):
    """What was to be exported, and what became of it. The file is in the MediaStore, where no address leads to it.

    Users and conversations are named as on the wire (``u_…``, ``c_…``). ``begins_at`` and ``ends_at`` bound what was
    sent. What came after ``requested_at``, and entries of the audit log after ``audit_seq``, are not in it, so that the
    job may be repeated.
    """

    class State(models.TextChoices):
        REQUESTED = "requested"
        MAKING = "making", "in the making"
        READY = "ready"
        FAILED = "failed"
        CANCELLED = "cancelled"
        DELETED = "deleted"

    case = models.CharField(max_length=120, db_index=True)
    reason = models.TextField()
    users = models.JSONField(default=list)
    conversations = models.JSONField(default=list)
    begins_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    requested_at = models.DateTimeField(default=timezone.now)
    requested_by = models.BigIntegerField()
    audit_seq = models.BigIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State, default=State.REQUESTED, db_index=True)
    error = models.CharField(max_length=200, blank=True)
    #: Who makes it, and until when nobody else does.
    claim = models.CharField(max_length=32, blank=True)
    claimed_until = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    #: How far it is.
    conversations_found = models.PositiveIntegerField(default=0)
    conversations_done = models.PositiveIntegerField(default=0)
    messages = models.BigIntegerField(default=0)
    media = models.BigIntegerField(default=0)
    media_missing = models.BigIntegerField(default=0)
    ready_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    size = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    #: Where the file is or is being written to; empty while there is none.
    content_key = models.CharField(max_length=80, blank=True)
    upload = models.CharField(max_length=255, blank=True)

    class Meta:
        db_table = "case_exports"
        default_permissions = ("add", "view")
        permissions = [
            ("download_export", "Can download an export"),
            ("end_export", "Can cancel an export or delete its file"),
        ]

    def __str__(self) -> str:
        return f"export {self.pk} (case {self.case})"
