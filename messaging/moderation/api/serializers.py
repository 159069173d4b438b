"""What the moderation endpoints take and give."""

from typing import Any

from rest_framework import serializers

from messaging.api.parsing import StrictCharField
from messaging.moderation.models import Category
from messaging.moderation.services.reports import MAX_TEXT_CHARS


class ReportSerializer(serializers.Serializer[Any]):
    """A report of exactly one of ``message``, ``conversation`` and ``user``."""

    message = StrictCharField(max_length=40, required=False, help_text="`m_…`")
    conversation = StrictCharField(max_length=40, required=False, help_text="`c_…`")
    user = StrictCharField(max_length=40, required=False, help_text="`u_…`")
    category = serializers.ChoiceField(choices=Category.choices)
    text = StrictCharField(
        max_length=MAX_TEXT_CHARS, required=False, allow_blank=True, default="", help_text="For the moderators."
    )

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        """Pass a report of one thing."""
        if len({"message", "conversation", "user"} & data.keys()) != 1:
            raise serializers.ValidationError("exactly one of message, conversation and user")
        return data


class ReportedSerializer(serializers.Serializer[Any]):
    """What became of a report. ``block``: whom the reporter may want to block as well; null for nobody."""

    id = serializers.IntegerField()
    block = serializers.CharField(allow_null=True, help_text="`u_…`, for `PUT /v1/blocks/:user`.")


class MyReportSerializer(serializers.Serializer[Any]):
    """Something the user reported. ``result``: whether anything followed from it, and not what."""

    id = serializers.IntegerField()
    about = serializers.ChoiceField(choices=["message", "user", "conversation"])
    category = serializers.ChoiceField(choices=Category.choices)
    at = serializers.DateTimeField()
    result = serializers.ChoiceField(choices=["open", "acted", "no_action"])
    decided_at = serializers.DateTimeField(allow_null=True)


class MyReportsSerializer(serializers.Serializer[Any]):
    """Reports, newest first."""

    results = MyReportSerializer(many=True)


class AppealSerializer(serializers.Serializer[Any]):
    """An appeal."""

    text = StrictCharField(max_length=MAX_TEXT_CHARS, help_text="Why the message should come back.")


class NoticeSerializer(serializers.Serializer[Any]):
    """One decision of the moderators about the user."""

    kind = serializers.ChoiceField(choices=["takedown", "warning", "suspension"])
    reason = serializers.CharField()
    at = serializers.DateTimeField()
    until = serializers.DateTimeField(allow_null=True)
    active = serializers.BooleanField()
    server_id = serializers.CharField(allow_null=True, help_text="Of a takedown: the message.")
    appeal = serializers.CharField(allow_blank=True, help_text="Of a takedown: `none`, `open`, `restored`, `upheld`.")


class NoticesSerializer(serializers.Serializer[Any]):
    """Decisions, newest first."""

    results = NoticeSerializer(many=True)
