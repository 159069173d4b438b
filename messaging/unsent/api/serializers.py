"""Shapes of the endpoints of what is not sent yet."""

from typing import Any

from rest_framework import serializers

from messaging.api.parsing import StrictCharField


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
