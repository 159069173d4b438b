"""Shapes of the search's answers. They are made in ``views``."""

from typing import Any

from rest_framework import serializers


class SegmentSerializer(serializers.Serializer[Any]):
    """A piece of a snippet; the pieces follow each other."""

    text = serializers.CharField()
    match = serializers.BooleanField(help_text="It is what was looked for.")


class HitSerializer(serializers.Serializer[Any]):
    """A message that was found. Read the whole of it by its `server_id`."""

    server_id = serializers.CharField()
    conv = serializers.CharField()
    ts = serializers.IntegerField(help_text="Unix milliseconds.")
    edited_at = serializers.IntegerField(allow_null=True, help_text="Unix milliseconds; null where it never was.")
    media = serializers.ListField(child=serializers.CharField())
    snippet = SegmentSerializer(many=True, help_text="Around the first match; of a text that is long, a part.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields, with `from`, which Python keeps for itself."""
        return {**super().get_fields(), "from": serializers.CharField()}


class SearchSerializer(serializers.Serializer[Any]):
    """A page of messages, newest first."""

    results = HitSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Pass as `cursor`.")
