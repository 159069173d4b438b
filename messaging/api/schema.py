"""What the description of the API says beyond what each view says of itself: refusals that any may meet, and examples.

Examples are made from the description itself, so that there is one for every body, and none that is not true: a test
holds each against its schema.
"""

import copy
from typing import Any, Final

from messaging.api.problems import CONTENT_TYPE
from messaging.domain import errors
from messaging.domain.errors import ChatError

_U, _C, _D, _F = "u_BYNR10AT0Fw", "c_BbBYNR10AT0", "d_Cm0pVxq4o1E", "f_D8h2Qk3mZxA"
_M: Final = "m_BbBYNR10AT0FUvRhVwAALA"
_WHEN: Final = "2026-03-01T09:00:00Z"

#: Examples by the name of a field, where its type alone would say too little.
_BY_NAME: Final[dict[str, Any]] = {
    "username": "alice",
    "display_name": "Alice Adler",
    "password": "four-wet-boots",
    "current": "four-wet-boots",
    "new": "five-dry-boots",
    "device": "Alice's phone",
    "email": "alice@example.org",
    "code": "123456",
    "body": "On my way",
    "text": "On my way",
    "msg_id": "1b4e28ba-2fa1-4d3b-a3f5-ef19b5a7633b",
    "server_id": _M,
    "last_read": _M,
    "prev": _M,
    "reply_to": _M,
    "forwarded_from": _M,
    "message": _M,
    "conv": _C,
    "conversation": _C,
    "from": _U,
    "by": _U,
    "user": _U,
    "owner": _U,
    "members": _U,
    "mentions": _U,
    "users": _U,
    "added": _U,
    "media": _F,
    "picture": _F,
    "name": "Weekend",
    "emoji": "👍",
    "token": "Zm9yIHRlc3RzIG9ubHksIG5vdCBhIHRva2VuLg",
    "url": "https://chat.example.org/v1/hooks/Zm9yIHRlc3RzIG9ubHk",
    "ts": 1_772_355_600_000,
    "edited_at": 1_772_355_660_000,
    "conversations": _C,
    "expired_before": _M,
    "mark": _M,
    "role": "member",
    "type": "image/png",
    "size": 20_480,
    "expires_in_days": 90,
    "time_zone": "Europe/Vienna",
    "quiet_from": "22:00",
    "quiet_until": "07:00",
}
_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
#: By the kind of thing that a schema is of.
_IDS: Final = {"User": _U, "Me": _U, "Member": _U, "Bot": _U, "Conversation": _C, "Media": _F, "Asking": _U}


def _errors() -> dict[int, type[ChatError]]:
    """Return of each status the error that is the rule for it: the one nearest to the root of the tree."""
    found: dict[int, type[ChatError]] = {}
    waiting: list[type[ChatError]] = [ChatError]
    while waiting:
        error = waiting.pop(0)
        if error is not ChatError and error is not errors.BadFrame:
            found.setdefault(error.http_status, error)
        waiting += error.__subclasses__()
    return found


def completed(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Return the description, completed (``SPECTACULAR_SETTINGS["POSTPROCESSING_HOOKS"]``)."""
    schemas = result["components"]["schemas"]
    of_status = _errors()
    for operations in result["paths"].values():
        for operation in operations.values():
            responses = operation["responses"]
            if "security" in operation:
                problem = {"content": {CONTENT_TYPE: {"schema": _PROBLEM}}, "description": ""}
                # Whoever signs in can be signed out, suspended and too fast, and a bot may not do all.
                for status in ("401", "403", "429"):
                    responses.setdefault(status, copy.deepcopy(problem))
            operation["responses"] = dict(sorted(responses.items()))
            for content in operation.get("requestBody", {}).get("content", {}).values():
                content.setdefault("example", example(content["schema"], schemas))
            for status, response in responses.items():
                for kind, content in response.get("content", {}).items():
                    if kind == CONTENT_TYPE:
                        content["example"] = _problem(int(status), of_status)
                    elif kind == "application/json":
                        content.setdefault("example", example(content["schema"], schemas))
    return result


def _problem(status: int, of_status: dict[int, type[ChatError]]) -> dict[str, Any]:
    error = of_status[status]("try again in a moment" if of_status[status].temporary else "")
    body = {
        "type": "about:blank",
        "title": error.title,
        "status": status,
        "detail": error.detail,
        "code": error.code,
    }
    return body | ({"retry_after": 2.0} if error.temporary else {})


def example(schema: dict[str, Any], schemas: dict[str, Any], *, name: str = "", of: str = "") -> Any:
    """Return an example of a schema of the description. ``name``: of the field that it is for, ``of`` what it is in."""
    if "$ref" in schema:
        named = schema["$ref"].rpartition("/")[2]
        return example(schemas[named], schemas, name=name, of=named)
    for union in ("allOf", "oneOf", "anyOf"):
        if union in schema:
            return example(schema[union][0], schemas, name=name, of=of)
    if schema.get("type") == "array":
        return [example(schema["items"], schemas, name=name, of=of)]
    if schema.get("properties"):
        needed = set(schema.get("required", ()))
        return {field: _field(field, it, schemas, of, field in needed) for field, it in schema["properties"].items()}
    if schema.get("enum"):
        return schema["enum"][0]
    return _plain(schema, name, of)


def _field(field: str, schema: dict[str, Any], schemas: dict[str, Any], of: str, needed: bool) -> Any:
    if schema.get("nullable") and (not needed or field == "next"):
        return None
    # What may be left out is shown as it is then; but a message that says nothing is no example.
    if not needed and schema.get("default") in ([], False):
        return schema["default"]
    return example(schema, schemas, name=field, of=of)


def _plain(schema: dict[str, Any], name: str, of: str) -> Any:
    kind, form = schema.get("type"), schema.get("format")
    if kind == "string" and name == "id":
        return next((ref for start, ref in _IDS.items() if of.startswith(start)), _D)
    known = _BY_NAME.get(name)
    if known is not None and _fits(known, str(kind), form):
        return known
    if kind == "integer":
        return max(1, schema.get("minimum", 1))
    of_form = {"date-time": _WHEN, "uuid": _BY_NAME["msg_id"], "email": _BY_NAME["email"]}
    return {"boolean": False, "number": 1.0, "object": {}}.get(str(kind), of_form.get(str(form), "text"))


def _fits(value: Any, kind: str, form: str | None) -> bool:
    if kind == "string":
        return isinstance(value, str) and form in (None, "uuid", "email", "uri")
    return kind == "integer" and isinstance(value, int)
