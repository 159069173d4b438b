"""What moderators work on, and what they decided. Everything of it that the staff does is in the audit log as well."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from messaging.domain import ids
from messaging.domain.ids import ConversationId, MessageId


class Category(models.TextChoices):
    """Why somebody reports; the order is that of the dialog."""

    SPAM = "spam", "Spam or fraud"
    HARASSMENT = "harassment", "Harassment or bullying"
    HATE = "hate", "Hate"
    VIOLENCE = "violence", "Threats or violence"
    SEXUAL = "sexual", "Sexual content"
    SELF_HARM = "self_harm", "Somebody may hurt themselves"
    ILLEGAL = "illegal", "Something else that is against the law"
    OTHER = "other", "Something else"


class Case(models.Model):
    """One thing to be judged: all reports of it, or one appeal. While it is open there is one for each subject."""

    class Kind(models.TextChoices):
        MESSAGE = "message", "a message"
        USER = "user", "a person"
        CONVERSATION = "conversation", "a conversation"
        APPEAL = "appeal", "an appeal"

    class State(models.TextChoices):
        OPEN = "open"
        DECIDED = "decided"

    class Outcome(models.TextChoices):
        DISMISSED = "dismissed", "dismissed"
        WITHHELD = "withheld", "message withheld"
        WARNED = "warned", "person warned"
        SUSPENDED = "suspended", "person suspended"
        RESTORED = "restored", "message given back"
        UPHELD = "upheld", "takedown upheld"

    kind = models.CharField(max_length=16, choices=Kind)
    #: ``m_…``, ``u_…`` or ``c_…``; of an appeal, the message.
    subject = models.CharField(max_length=40)
    #: Whose doing it is, where that is one person.
    accused = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="cases_about"
    )
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    created_at = models.DateTimeField(default=timezone.now)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="cases_assigned"
    )
    #: Why they took it, and look at what was reported.
    taken_for = models.CharField(max_length=300, blank=True)
    outcome = models.CharField(max_length=16, choices=Outcome, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="cases_decided"
    )
    decided_at = models.DateTimeField(null=True)
    #: Why, for the staff. What the person is told is with the takedown or the sanction.
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=models.Q(state="open"), name="one_open_case_per_subject"
            )
        ]
        indexes = [models.Index(fields=["state", "created_at"])]
        permissions = [("decide_case", "Can decide cases: take down, warn, suspend")]

    def __str__(self) -> str:
        return f"Case {self.pk}"

    @property
    def message(self) -> tuple[ConversationId, MessageId]:
        """Return which message it is about. Raises ids.InvalidId where it is about none."""
        return ids.parse_server_id(self.subject)


class Report(models.Model):
    """What one person reported, with what that person could see of it at that time."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="reports")
    reporter = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reports_made")
    category = models.CharField(max_length=16, choices=Category)
    text = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    #: Messages as in REST, oldest first, with ``name`` (who wrote it) and ``reported``.
    context = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "reporter"], name="one_report_per_case_and_person")]

    def __str__(self) -> str:
        return f"Report {self.pk}"


def rule_kinds() -> list[tuple[str, str]]:
    """Return the kinds of rules that the settings name."""
    return [(kind, kind.replace("_", " ")) for kind in settings.MODERATION_RULES]


class FilterRule(models.Model):
    """What texts are refused, or brought to the moderators. See ``messaging.moderation.rules`` for the kinds."""

    class Outcome(models.TextChoices):
        FLAG = "flag", "send it, and bring it to the moderators"
        REFUSE = "refuse", "refuse it"

    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=32, choices=rule_kinds)
    config = models.TextField(
        "what it means",
        help_text="Words or domains: one a line, # begins a remark. A flood: times in seconds, as in 5 in 60.",
    )
    outcome = models.CharField(max_length=8, choices=Outcome)
    enabled = models.BooleanField(default=True)
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name


class Flag(models.Model):
    """A rule brought a message to the moderators; ``text`` as it was sent."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="flags")
    rule = models.ForeignKey(FilterRule, on_delete=models.PROTECT, related_name="flags")
    text = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "rule"], name="one_flag_per_case_and_rule")]

    def __str__(self) -> str:
        return f"Flag {self.pk}"


class Takedown(models.Model):
    """A message that moderators withhold, or withheld. The truth is in the log; this says why, and who may appeal."""

    conversation_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="takedowns")
    #: What the author is told.
    reason = models.CharField(max_length=300)
    made_at = models.DateTimeField(default=timezone.now)
    lifted_at = models.DateTimeField(null=True)
    #: Whether the log has the record that withholds, and the one that gives back.
    placed = models.BooleanField(default=False)
    lift_placed = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["conversation_id", "message_id"],
                condition=models.Q(lifted_at=None),
                name="one_takedown_per_message",
            )
        ]

    def __str__(self) -> str:
        return f"Takedown {self.pk}"

    @property
    def ref(self) -> tuple[ConversationId, MessageId]:
        """Return which message it is."""
        return ConversationId(self.conversation_id), MessageId(self.message_id)

    @property
    def subject(self) -> str:
        """Return the message as ``m_…``."""
        return ids.server_id(*self.ref)


class Appeal(models.Model):
    """What the author says against a takedown; once for each."""

    takedown = models.OneToOneField(Takedown, on_delete=models.PROTECT, related_name="appeal")
    case = models.OneToOneField(Case, on_delete=models.PROTECT, related_name="appeal")
    text = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"Appeal {self.pk}"


class SendLimit(models.Model):
    """How little one person may send for a while, as against spam. One that is over or lifted stays on record.

    It is counted here, so that all pods count together; there are few.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="send_limits")
    #: A message or edit each so many seconds.
    interval_s = models.PositiveIntegerField()
    #: Conversations that the person may begin within a day (UTC).
    conversations_per_day = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True)
    #: When the next text may be sent, and which the last was: it may be sent again.
    next_at = models.DateTimeField(default=timezone.now)
    last_msg_id = models.BinaryField(max_length=16, null=True)
    day = models.DateField(null=True)
    begun = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = "limit on sending"
        verbose_name_plural = "limits on sending"
        default_permissions = ("add", "view")
        indexes = [models.Index(fields=["lifted_at", "until"], name="send_limits_running")]

    def __str__(self) -> str:
        return f"Limit {self.pk}"


class Sanction(models.Model):
    """What moderators imposed on a person, as the person was told."""

    class Kind(models.TextChoices):
        WARNING = "warning"
        SUSPENSION = "suspension"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="sanctions")
    kind = models.CharField(max_length=16, choices=Kind)
    reason = models.CharField(max_length=300)
    created_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(null=True)
    lifted_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"
