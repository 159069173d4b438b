"""The OpenAPI description as the server gives it."""

from typing import Any, Final

from drf_spectacular.generators import SchemaGenerator

DESCRIPTION: Final[dict[str, Any]] = SchemaGenerator().get_schema(request=None, public=True)
