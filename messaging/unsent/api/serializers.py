"""Shapes of the endpoints of what is not sent yet."""

from typing import Any

from rest_framework import serializers

from messaging.api.parsing import BoundedListField, StrictCharField, check_media, check_mentions


class DraftBodySerializer(serializers.Serializer[Any]):
    """What was begun; blank for nothing."""

    body = StrictCharField(allow_blank=True, help_text="At most 64 KiB of UTF-8.")


class DraftSerializer(serializers.Serializer[Any]):
    """What the reader has begun in a conversation."""

    conversation = serializers.CharField()
    body = serializers.CharField()
    updated_at = serializers.DateTimeField()


class DraftsSerializer(serializers.Serializer[Any]):
    """The reader's drafts, the newest first; at most 200."""

    results = DraftSerializer(many=True)


class ScheduleSerializer(serializers.Serializer[Any]):
    """A message to be sent later."""

    conversation = StrictCharField(help_text="`c_…`.")
    msg_id = StrictCharField(help_text="A UUID made by the client; repeating it schedules nothing twice.")
    send_at = serializers.DateTimeField(help_text="When to send it; at most 120 days ahead.")
    body = StrictCharField(required=False, allow_blank=True, default="", help_text="At most 64 KiB of UTF-8.")
    media = BoundedListField(child=StrictCharField(), check=check_media, required=False, default=list)
    reply_to = StrictCharField(required=False, allow_null=True, default=None, help_text="`m_…` of this conversation.")
    mentions = BoundedListField(child=StrictCharField(), check=check_mentions, required=False, default=list)


class RescheduleSerializer(serializers.Serializer[Any]):
    """Another text or time; what is left out stays as it is. With a time, what could not be sent waits again."""

    send_at = serializers.DateTimeField(required=False)
    body = StrictCharField(required=False, allow_blank=True)
    mentions = BoundedListField(child=StrictCharField(), check=check_mentions, required=False)


class ScheduledSerializer(serializers.Serializer[Any]):
    """A message that is to be sent later. `failed`: it was not sent; `code` and `detail` say why."""

    id = serializers.CharField(help_text="`s_…`.")
    conversation = serializers.CharField()
    msg_id = serializers.CharField()
    send_at = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=["waiting", "sending", "failed"])
    body = serializers.CharField(allow_blank=True)
    media = serializers.ListField(child=serializers.CharField())
    reply_to = serializers.CharField(allow_null=True)
    mentions = serializers.ListField(child=serializers.CharField())
    code = serializers.CharField(allow_blank=True)
    detail = serializers.CharField(allow_blank=True)


class ScheduledListSerializer(serializers.Serializer[Any]):
    """The reader's messages that are to be sent later, the next one first; at most 100."""

    results = ScheduledSerializer(many=True)
