"""Shapes of the endpoints of previews."""

from typing import Any

from rest_framework import serializers


class LinkPreviewSerializer(serializers.Serializer[Any]):
    """What is at the first link of a message. All of it is text of strangers."""

    message = serializers.CharField(help_text="`m_…`.")
    url = serializers.CharField()
    host = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    image = serializers.BooleanField(help_text="Whether there is a picture: `GET /v1/messages/:id/preview/image`.")
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)


class PreviewsSerializer(serializers.Serializer[Any]):
    """Previews of those messages that have one, in no order."""

    results = LinkPreviewSerializer(many=True)
