"""The OpenAPI description as the server gives it, and what its answers are held against."""

from typing import Final

import schemathesis
from drf_spectacular.generators import SchemaGenerator
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

SCHEMA = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(request=None, public=True))
#: Not whether each rule for a field is in the description: some, such as that for passwords, no schema can express.
CHECKS: Final = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]
