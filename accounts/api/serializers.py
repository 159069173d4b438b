"""Shapes of the accounts API."""

from typing import Any

from rest_framework import serializers

from accounts.language import LANGUAGES
from accounts.models import Device, PresenceChoice, User
from accounts.selectors.people import UserCard
from messaging.api.parsing import StrictCharField
from messaging.domain import ids


class SignUpSerializer(serializers.Serializer[Any]):
    """A new account."""

    username = StrictCharField(max_length=32)
    password = StrictCharField(max_length=256, trim_whitespace=False)
    display_name = StrictCharField(max_length=80, required=False, default="", allow_blank=True)
    device = StrictCharField(max_length=120, required=False, default="", allow_blank=True)


class SignInSerializer(serializers.Serializer[Any]):
    """Credentials."""

    username = StrictCharField(max_length=254)
    password = StrictCharField(max_length=256, trim_whitespace=False)
    code = StrictCharField(
        max_length=32,
        required=False,
        default="",
        allow_blank=True,
        help_text="Of the second factor, where there is one.",
    )
    device = StrictCharField(max_length=120, required=False, default="", allow_blank=True, help_text="A name for it.")


class ProofSerializer(serializers.Serializer[Any]):
    """Who asks for something grave proves once more who it is."""

    password = StrictCharField(max_length=256, trim_whitespace=False)
    code = StrictCharField(max_length=32, required=False, default="", allow_blank=True)


class PasswordSerializer(serializers.Serializer[Any]):
    """A change of password."""

    current = StrictCharField(max_length=256, trim_whitespace=False)
    new = StrictCharField(max_length=256, trim_whitespace=False)


class ProfileSerializer(serializers.Serializer[Any]):
    """What a user may change of themselves."""

    display_name = StrictCharField(max_length=80, required=False, allow_blank=True)
    about = StrictCharField(max_length=140, required=False, allow_blank=True, help_text="What others read of the user.")
    email = serializers.EmailField(required=False, allow_blank=True)
    presence = serializers.ChoiceField(
        choices=PresenceChoice.values,
        required=False,
        help_text="To whom it is shown when the user is online, and when they last were; and whose the user sees.",
    )
    share_presence = serializers.BooleanField(
        required=False, help_text="False: `presence` is `nobody`. True: what it was before, else `contacts`."
    )
    language = serializers.ChoiceField(
        choices=LANGUAGES,
        required=False,
        allow_blank=True,
        help_text="Of pages, mails and pushes. Empty: pages as the browser asks, the rest in the server's.",
    )
    show_previews = serializers.BooleanField(required=False)
    password = StrictCharField(
        max_length=256,
        required=False,
        default="",
        allow_blank=True,
        trim_whitespace=False,
        write_only=True,
        help_text="The account's, with another `email`.",
    )
    code = StrictCharField(
        max_length=32,
        required=False,
        default="",
        allow_blank=True,
        write_only=True,
        help_text="Of the second factor, where there is one, with another `email`.",
    )


class UserSerializer(serializers.Serializer[Any]):
    """What others see of a user."""

    id = serializers.CharField(help_text="`u_…`")
    username = serializers.CharField()
    display_name = serializers.CharField()
    is_bot = serializers.BooleanField(help_text="A program's account; show it.")
    picture = serializers.CharField(
        allow_null=True,
        help_text="`f_…`: it changes with the picture, which is at `/v1/users/:id/picture`. Null: none for you.",
    )


class MeSerializer(UserSerializer):
    """What users see of themselves."""

    about = serializers.CharField()
    email = serializers.CharField()
    presence = serializers.ChoiceField(choices=PresenceChoice.values)
    share_presence = serializers.BooleanField(help_text="Whether `presence` is not `nobody`.")
    language = serializers.ChoiceField(choices=LANGUAGES, allow_blank=True)
    show_previews = serializers.BooleanField(help_text="See previews of links, and have them made of one's own.")


class DeviceSerializer(serializers.Serializer[Any]):
    """One place where the user is signed in."""

    id = serializers.CharField(help_text="`d_…`")
    kind = serializers.ChoiceField(choices=["token", "web"])
    name = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    current = serializers.BooleanField()


class SignedInSerializer(serializers.Serializer[Any]):
    """A fresh bearer token; it is shown this once."""

    user = UserSerializer()
    token = serializers.CharField()
    device = DeviceSerializer()


class UsersSerializer(serializers.Serializer[Any]):
    """Users found."""

    results = UserSerializer(many=True)


class DevicesSerializer(serializers.Serializer[Any]):
    """Devices, most recently used first."""

    results = DeviceSerializer(many=True)


def user_json(user: User | UserCard) -> dict[str, Any]:
    """Return what others see of a user."""
    return {
        "id": ids.user_ref(user.id),
        "username": user.username,
        "display_name": user.display_name or user.username,
        "is_bot": user.is_bot,
        "picture": None if user.picture is None else ids.media_ref(user.picture),
    }


def me_json(user: User) -> dict[str, Any]:
    """Return what users see of themselves."""
    return {
        **user_json(user),
        "about": user.about,
        "email": user.email,
        "presence": user.presence.value,
        "share_presence": user.share_presence,
        "language": user.language,
        "show_previews": user.show_previews,
    }


def device_json(device: Device, *, current: Device | None) -> dict[str, Any]:
    """Return a device of the user's own."""
    return {
        "id": ids.device_ref(device.pk),
        "kind": device.kind,
        "name": device.name,
        "created_at": device.created_at,
        "last_used_at": device.last_used_at,
        "expires_at": device.expires_at,
        "current": current is not None and device.pk == current.pk,
    }
