"""What the pages of sign-in and security need beside allauth's own context."""

import json
from typing import Any

from django import template
from django.core.serializers.json import DjangoJSONEncoder

from accounts.models import User
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
