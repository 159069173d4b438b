"""Schemathesis over the OpenAPI description, and what answers are held against.

Apart from ``tests.openapi``: it takes seconds to import, and the core has no test that needs it.
"""

from typing import Final

import schemathesis
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

from tests.openapi import DESCRIPTION

SCHEMA: Final = schemathesis.openapi.from_dict(DESCRIPTION)
#: Not whether each rule for a field is in the description: some, such as that for passwords, no schema can express.
CHECKS: Final = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]
