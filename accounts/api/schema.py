"""How the description of the API names the ways to say who asks."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # drf-spectacular has few types
    """A bearer token, of a device or a bot."""

    target_class = "accounts.api.authentication.BearerAuthentication"
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return how it is described."""
        return {"type": "http", "scheme": "bearer"}
