"""Conversations and membership."""

from django.db import models
from django.utils import timezone


class ConversationRow(models.Model):
    """One conversation. ``activity_id`` orders the inbox: the last message's id, or the time of creation as an id."""

    id = models.BigIntegerField(primary_key=True)
    type = models.CharField(max_length=12)
    #: ``low:high`` user ids of a DM; unique, so that a pair has one DM also under a race.
    dm_key = models.CharField(max_length=48, unique=True, null=True)
    name = models.CharField(max_length=120, blank=True)
    created_by = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    members_count = models.PositiveIntegerField(default=0)
    last_message_id = models.BigIntegerField(null=True)
    #: The newest message or change of the first chain; ``ConversationChainRow`` has the others.
    last_id = models.BigIntegerField(null=True)
    activity_id = models.BigIntegerField(db_index=True)
    #: From its creation on, and for good: what is written here the server cannot read.
    encrypted = models.BooleanField(db_default=False)
    hot_k = models.PositiveSmallIntegerField(default=1)
    #: Whether it is or ever was hot, so that there may be other chains.
    is_spread = models.BooleanField(default=False, db_default=False)
    #: Grows with every change of the members.
    version = models.PositiveBigIntegerField(default=0, db_default=0)
    home_region = models.CharField(max_length=32, blank=True)
    retention_policy = models.CharField(max_length=64, blank=True)
    #: What is not above it was over its time.
    expired_id = models.BigIntegerField(default=0, db_default=0)
    #: After how many seconds the members want messages to expire.
    timer_s = models.PositiveIntegerField(null=True)
    #: Of a group: the file that is its picture.
    picture_id = models.BigIntegerField(null=True)
    meta = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "conversations"
        indexes = [models.Index(fields=["hot_k"], condition=models.Q(hot_k__gt=1), name="conversations_hot")]


class HotConversation(models.Model):
    """A conversation that is spread, as the staff's pages and rights name it.

    It has no table: which there are the store of conversations tells, wherever that is.
    """

    class Meta:
        managed = False
        default_permissions = ("view", "change")


class ConversationRecord(models.Model):
    """A conversation, as the staff's pages and rights name it. It has no table: see ``HotConversation``."""

    class Meta:
        managed = False
        verbose_name = "conversation"
        default_permissions = ("view",)
        permissions = [("view_members", "Can see, with a reason, who is in a conversation and in which somebody is")]


class ConversationChainRow(models.Model):
    """What a hot conversation has in a sub-partition beside the first: its first and its newest message or change."""

    pk = models.CompositePrimaryKey("conversation_id", "sub")
    conversation_id = models.BigIntegerField()
    sub = models.PositiveSmallIntegerField()
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField()

    class Meta:
        db_table = "conversation_chains"


class MembershipRow(models.Model):
    """A user in a conversation, read in both directions. Users are bare ids: they may live in another database."""

    user_id = models.BigIntegerField()
    conversation = models.ForeignKey(ConversationRow, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=8)
    joined_id = models.BigIntegerField(default=0)
    joined_at = models.DateTimeField(default=timezone.now)
    left_id = models.BigIntegerField(null=True)
    last_read_id = models.BigIntegerField(default=0)
    muted_until = models.DateTimeField(null=True)
    #: Put away until something newer is said, kept on top of the list, marked as unread until something newer is read.
    archived_id = models.BigIntegerField(default=0, db_default=0)
    is_pinned = models.BooleanField(default=False, db_default=False)
    unread_id = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        db_table = "membership"
        constraints = [models.UniqueConstraint(fields=["user_id", "conversation"], name="one_membership")]
        indexes = [models.Index(fields=["conversation", "user_id"])]


class DeviceMarkRow(models.Model):
    """How far a device that asked for it has a chain of a conversation. Users and devices are bare ids, as above."""

    user_id = models.BigIntegerField()
    device_id = models.BigIntegerField()
    conversation = models.ForeignKey(ConversationRow, on_delete=models.CASCADE, related_name="+")
    #: The chain.
    sub = models.PositiveSmallIntegerField(default=0, db_default=0)
    mark = models.BigIntegerField()

    class Meta:
        db_table = "device_marks"
        constraints = [
            models.UniqueConstraint(fields=["user_id", "device_id", "conversation", "sub"], name="one_mark_per_chain")
        ]
