"""Shapes of the push API."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from messaging.api.parsing import StrictCharField
from push.models import Content, Environment, Provider, PushSettings, Subscription
from push.vapid import public_key


class KeysSerializer(serializers.Serializer[Any]):
    """Of a browser's subscription, base64url."""

    p256dh = StrictCharField(max_length=128)
    auth = StrictCharField(max_length=64)


class NewSubscriptionSerializer(serializers.Serializer[Any]):
    """Where a device can be reached."""

    provider = serializers.ChoiceField(choices=Provider.choices)
    token = StrictCharField(max_length=2048, required=False, help_text="Of APNs (hexadecimal) or FCM.")
    endpoint = StrictCharField(max_length=2048, required=False, help_text="Of Web Push; with `keys`.")
    keys = KeysSerializer(required=False)
    environment = serializers.ChoiceField(choices=Environment.choices, required=False, default="production")
    topic = StrictCharField(max_length=255, required=False, default="", help_text="APNs: the app's bundle id.")
    enabled = serializers.BooleanField(required=False, default=True)
    content = serializers.ChoiceField(
        choices=Content.choices, required=False, allow_blank=True, default="", help_text="Empty: as for all devices."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Want the address that the provider needs."""
        needed = ("endpoint", "keys") if attrs["provider"] == Provider.WEBPUSH else ("token",)
        missing = {name: "This field is required." for name in needed if not attrs.get(name)}
        if missing:
            raise serializers.ValidationError(missing)
        return attrs


class SubscriptionSerializer(serializers.Serializer[Any]):
    """A device's subscription. Its address is not shown."""

    provider = serializers.ChoiceField(choices=Provider.choices)
    environment = serializers.ChoiceField(choices=Environment.choices)
    topic = serializers.CharField()
    enabled = serializers.BooleanField()
    content = serializers.ChoiceField(choices=Content.choices, allow_blank=True)
    created_at = serializers.DateTimeField()
    last_success_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField(help_text="Empty after a success.")
    last_error_at = serializers.DateTimeField(allow_null=True)


@extend_schema_field({"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$"})
class ClockField(serializers.TimeField):
    """A time of day, ``HH:MM``; OpenAPI's own format ``time`` has seconds and a zone."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(input_formats=["%H:%M"], **kwargs)


class ChangeSettingsSerializer(serializers.Serializer[Any]):
    """What a user wants of pushes, on all devices."""

    enabled = serializers.BooleanField(required=False)
    content = serializers.ChoiceField(choices=Content.choices, required=False)
    quiet_from = ClockField(required=False, allow_null=True, help_text="Local time, `HH:MM`.")
    quiet_until = ClockField(required=False, allow_null=True)
    time_zone = StrictCharField(max_length=64, required=False, help_text="Such as `Europe/Berlin`.")
    mentions_override_mute = serializers.BooleanField(
        required=False, help_text="A message that names the user is pushed also where the conversation is muted."
    )
    email_summary = serializers.BooleanField(
        required=False, help_text="What could not be pushed in time comes as one mail."
    )


class PushSettingsSerializer(ChangeSettingsSerializer):
    """The settings, and what a client needs in order to subscribe."""

    providers = serializers.ListField(child=serializers.CharField(), help_text="What this server sends by.")
    vapid_key = serializers.CharField(help_text="`applicationServerKey` for browsers; empty without Web Push.")


def subscription_json(subscription: Subscription) -> dict[str, Any]:
    """Return a subscription without its address."""
    return dict(SubscriptionSerializer(subscription).data)


def settings_json(wanted: PushSettings) -> dict[str, Any]:
    """Return the settings with what this server offers."""
    config = settings.PUSH

    def clock(name: str) -> str | None:
        value = getattr(wanted, name)
        return None if value is None else value.strftime("%H:%M")

    return {
        "enabled": wanted.enabled,
        "content": wanted.content,
        "quiet_from": clock("quiet_from"),
        "quiet_until": clock("quiet_until"),
        "time_zone": wanted.time_zone,
        "mentions_override_mute": wanted.mentions_override_mute,
        "email_summary": wanted.email_summary,
        "providers": config.providers(),
        "vapid_key": public_key(config.vapid_private_key) if config.vapid_private_key else "",
    }
