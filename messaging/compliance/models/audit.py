"""The audit log. Triggers of the database refuse to change or delete a row (``guards.py``)."""

from typing import Any

from django.db import models

from messaging.compliance import chain


class AuditEntry(models.Model):
    """One act, and its place in the chain (``chain.Entry``). Numbers begin at 1 and have no gap."""

    seq = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    #: ``u_…`` or ``system``. Ids, never names: those may change, and may have to be forgotten.
    actor = models.CharField(max_length=32, db_index=True)
    action = models.CharField(max_length=48, db_index=True)
    object = models.CharField(max_length=120, db_index=True)
    reason = models.TextField(blank=True)
    case = models.CharField(max_length=120, blank=True, db_index=True)
    details = models.JSONField(default=dict, blank=True)
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        db_table = "audit_entries"
        verbose_name_plural = "audit entries"
        # Read, and by ``record`` written; nobody changes or deletes one.
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"entry {self.seq}"

    def entry(self) -> chain.Entry:
        """Return it without its hash."""
        return chain.Entry(
            seq=self.seq,
            at=self.at,
            actor=self.actor,
            action=self.action,
            object=self.object,
            reason=self.reason,
            case=self.case,
            details=self.details,
            prev_hash=self.prev_hash,
        )

    def line(self) -> dict[str, Any]:
        """Return it as a line of an export, with the hash that is stored."""
        return {**self.entry().line(), "hash": self.hash}


class AuditCheckpoint(models.Model):
    """A signature over the number and hash of an entry (``chain.Checkpoint``)."""

    seq = models.BigIntegerField(primary_key=True)
    entry_hash = models.CharField(max_length=64)
    at = models.DateTimeField()
    key = models.CharField(max_length=16)
    signature = models.CharField(max_length=86)

    class Meta:
        db_table = "audit_checkpoints"
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"checkpoint at entry {self.seq}"

    def line(self) -> dict[str, Any]:
        """Return it as a line of an export."""
        return chain.Checkpoint(self.seq, self.entry_hash, self.at, self.key).line(self.signature)


class AuditOutlet(models.Model):
    """How far the log has been told to the topic ``compliance``: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    seq = models.BigIntegerField(default=0)
    checkpoint_seq = models.BigIntegerField(default=0)

    class Meta:
        db_table = "audit_outlet"
        default_permissions = ()
