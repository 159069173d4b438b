"""What the pages of sign-in and security need beside allauth's own context."""

import json
from typing import Any

from django import template
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder

from accounts.models import Identity, User
from accounts.selectors.credentials import devices_of

register = template.Library()


@register.filter
def as_json(value: Any) -> str:
    """Return JSON for an attribute, which the template escapes: there are no scripts inside of pages."""
    return json.dumps(value, cls=DjangoJSONEncoder)


@register.inclusion_tag("mfa/elsewhere.html")
def elsewhere(user: User) -> dict[str, Any]:
    """Offer to sign out everywhere else, after a change of what signs in."""
    return {"others": max(0, len(devices_of(user)) - 1)}


@register.simple_tag
def provider_name() -> str:
    """Return what people call the OpenID provider; nothing where there is none."""
    return settings.OIDC.name if settings.OIDC is not None else ""


@register.simple_tag
def signup_is_open() -> bool:
    """Return whether accounts are made with a password here."""
    return bool(settings.SIGNUP == "open")


@register.simple_tag
def identity_of(user: User) -> Identity | None:
    """Return who the user is at the provider."""
    return Identity.objects.filter(user=user, issuer=settings.OIDC.issuer).first() if settings.OIDC else None
