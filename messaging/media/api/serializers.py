"""Shapes of the media API: requests to check, answers to document. Answers are made in ``render``."""

from typing import Any

from rest_framework import serializers

from messaging.api.parsing import StrictCharField
from messaging.media.models import Kind, State


class NewMediaSerializer(serializers.Serializer[Any]):
    """A file to upload."""

    conversation = StrictCharField(
        required=False, allow_null=True, default=None, help_text="`c_…` for which it is meant. Null: one's own picture."
    )
    name = StrictCharField(max_length=1024, help_text="As its owner calls it.")
    size = serializers.IntegerField(help_text="Bytes; 1 to `max_media_bytes`.")
    type = StrictCharField(
        required=False, allow_blank=True, default="", max_length=255, help_text="A hint: what counts is the content."
    )
    voice = serializers.BooleanField(required=False, default=False, help_text="A voice note.")
    duration_ms = serializers.IntegerField(required=False, allow_null=True, default=None, min_value=0)


class PartSerializer(serializers.Serializer[Any]):
    """A part that has yet to come."""

    number = serializers.IntegerField()
    offset = serializers.IntegerField(help_text="Where in the file it begins.")
    size = serializers.IntegerField(help_text="Bytes.")
    url = serializers.CharField(
        help_text="Where to PUT it: a path of this server, or an address of the store, good for five minutes."
    )


class MediaSerializer(serializers.Serializer[Any]):
    """A file. What is known by its content only is null, or empty, until its state is `ready`."""

    id = serializers.CharField(help_text="`f_…`, as messages refer to it.")
    state = serializers.ChoiceField(choices=State.values)
    reason = serializers.CharField(help_text="Why it was refused.")
    kind = serializers.ChoiceField(choices=Kind.values)
    name = serializers.CharField()
    type = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True, help_text="As its sender says.")
    preview = serializers.CharField(help_text="A tiny picture as a `data:` address, to be shown blurred.")
    thumbnail = serializers.BooleanField(help_text="There is one.")


class UploadSerializer(MediaSerializer):
    """One's own file, with what has yet to come of it."""

    missing = PartSerializer(many=True, help_text="The first hundred.")


class PictureSerializer(serializers.Serializer[Any]):
    """A picture that is ready and one's own."""

    media = StrictCharField(help_text="`f_…`, uploaded for this conversation (one's own: for none) and not sent.")


class MediaListSerializer(serializers.Serializer[Any]):
    """Files of the messages that were asked for."""

    results = MediaSerializer(many=True)
