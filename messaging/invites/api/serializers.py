"""Shapes of the endpoints of invitations."""

from typing import Any

from rest_framework import serializers


class NewInviteSerializer(serializers.Serializer[Any]):
    """A link to make."""

    expires_in_s = serializers.IntegerField(
        required=False, allow_null=True, default=None, help_text="Seconds, from a minute to a year; null: never."
    )
    max_uses = serializers.IntegerField(
        required=False, allow_null=True, default=None, help_text="How many may come in by it; null: any number."
    )
    approval = serializers.BooleanField(
        required=False, default=False, help_text="The owner or an admin has to let people in."
    )


class InviteSerializer(serializers.Serializer[Any]):
    """A link into a group."""

    token = serializers.CharField()
    path = serializers.CharField(help_text="Of the page that it opens, on this server.")
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    max_uses = serializers.IntegerField(allow_null=True)
    uses = serializers.IntegerField(help_text="Who came in by it, and who asked to and is not declined.")
    approval = serializers.BooleanField()


class InvitesSerializer(serializers.Serializer[Any]):
    """The links of a group that are in force, the newest first."""

    results = InviteSerializer(many=True)


class InvitationSerializer(serializers.Serializer[Any]):
    """What a link leads to, before one comes in."""

    conversation = serializers.CharField()
    name = serializers.CharField()
    members_count = serializers.IntegerField()
    encrypted = serializers.BooleanField()
    approval = serializers.BooleanField(help_text="One has to be let in.")
    standing = serializers.ChoiceField(choices=["member", "requested", "none"])


class JoinedSerializer(serializers.Serializer[Any]):
    """What became of it."""

    conversation = serializers.CharField()
    status = serializers.ChoiceField(choices=["joined", "requested"])


class AskingSerializer(serializers.Serializer[Any]):
    """Somebody who asks to be let in."""

    id = serializers.CharField()
    username = serializers.CharField()
    display_name = serializers.CharField()
    picture = serializers.CharField(allow_null=True, help_text="As of `GET /v1/users/:id`.")
    created_at = serializers.DateTimeField()


class RequestsSerializer(serializers.Serializer[Any]):
    """Who asks to be let in, in the order of asking."""

    results = AskingSerializer(many=True)


class DecisionSerializer(serializers.Serializer[Any]):
    """Whether somebody is let in."""

    accept = serializers.BooleanField()
