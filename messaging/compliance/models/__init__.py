"""Tables of compliance. They are in the relational database also where messages are in Cassandra."""

from messaging.compliance.models.audit import AuditCheckpoint, AuditEntry, AuditOutlet

__all__ = ["AuditCheckpoint", "AuditEntry", "AuditOutlet"]
