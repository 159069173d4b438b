"""Tables of compliance. They are in the relational database also where messages are in Cassandra."""

from messaging.compliance.models.audit import AuditCheckpoint, AuditEntry, AuditOutlet
from messaging.compliance.models.exports import Export
from messaging.compliance.models.holds import Hold
from messaging.compliance.models.retention import Jurisdiction, RetentionPolicy, Sweep

__all__ = ["AuditCheckpoint", "AuditEntry", "AuditOutlet", "Export", "Hold", "Jurisdiction", "RetentionPolicy", "Sweep"]
