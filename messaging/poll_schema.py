"""How the description of the API names ``/v1/poll``, which is no view of Django and so is not found by itself."""

from typing import Any, Final

from messaging.api.problems import CONTENT_TYPE
from messaging.domain import frames
from messaging.poll_door import MAX_FRAMES, NAME, WAIT_S

_SECURITY: Final[list[dict[str, list[str]]]] = [{"bearerAuth": []}, {"cookieAuth": []}]


def _ops(union: Any) -> dict[str, Any]:
    """Return the schema of a frame: which there are; their fields are the protocol's affair."""
    known = sorted(str(cls.__struct_config__.tag) for cls in union.__args__)
    return {
        "type": "object",
        "properties": {"op": {"type": "string", "enum": known}},
        "required": ["op"],
        "additionalProperties": {},
        "description": "A frame of the socket's protocol, with the fields that it has there.",
    }


def _responses(good: dict[str, Any], *refusals: int) -> dict[str, Any]:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return good | {
        str(status): {"content": {CONTENT_TYPE: dict(problem)}, "description": ""}  # a copy: each gets its own example
        for status in refusals
    }


def with_poll(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Return the description with ``/v1/poll`` (``SPECTACULAR_SETTINGS["POSTPROCESSING_HOOKS"]``)."""
    schemas = result["components"]["schemas"]
    schemas["PollClientFrame"] = _ops(frames.ClientFrame)
    schemas["PollServerFrame"] = _ops(frames.ServerFrame)
    schemas["PollPost"] = {
        "type": "object",
        "properties": {
            "open": {
                "type": "boolean",
                "default": False,
                "description": "Open the session; one that is open already stays as it is.",
            },
            "frames": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/PollClientFrame"},
                "maxItems": MAX_FRAMES,
                "default": [],
                "description": "In their order; judged one by one as on a socket.",
            },
            "close": {
                "type": "boolean",
                "default": False,
                "description": "End the session, after `frames` were read.",
            },
        },
    }
    schemas["PollEnd"] = {
        "type": "object",
        "properties": {"code": {"type": "integer"}, "reason": {"type": "string"}},
        "required": ["code", "reason"],
        "description": "With what the socket would have been closed; the session is over.",
    }
    schemas["PollFetched"] = {
        "type": "object",
        "properties": {
            "frames": {"type": "array", "items": {"$ref": "#/components/schemas/PollServerFrame"}},
            "last": {"type": "integer", "minimum": 0, "description": "The `after` of the next request."},
            "close": {"$ref": "#/components/schemas/PollEnd"},
        },
        "required": ["frames", "last"],
    }
    result["components"]["schemas"] = dict(sorted(schemas.items()))
    result["paths"]["/v1/poll"] = {"get": _get(), "post": _post()}
    result["paths"] = dict(sorted(result["paths"].items()))
    return result


def _session() -> dict[str, Any]:
    return {
        "name": "Chat-Session",
        "in": "header",
        "required": True,
        "schema": {"type": "string", "pattern": f"^{NAME.pattern}$"},
        "description": "The client's own name for its session, which nobody can guess.",
    }


def _get() -> dict[str, Any]:
    after = {
        "name": "after",
        "in": "query",
        "schema": {"type": "integer", "minimum": 0, "maximum": 10**15 - 1, "default": 0},
        "description": "The `last` of the answer before: what is up to there is confirmed, and does not come again.",
    }
    fetched = {
        "schema": {"$ref": "#/components/schemas/PollFetched"},
        "example": {"frames": [{"op": "pong", "ts": 1_772_355_600_000}], "last": 1},
    }
    return {
        "operationId": "poll_retrieve",
        "description": f"Wait up to {WAIT_S:.0f} seconds for frames to the client; there may be none.",
        "parameters": [_session(), after],
        "tags": ["poll"],
        "security": list(_SECURITY),
        "responses": _responses({"200": {"content": {"application/json": fetched}, "description": ""}}, 400, 410),
    }


def _post() -> dict[str, Any]:
    posted = {
        "schema": {"$ref": "#/components/schemas/PollPost"},
        "example": {"open": True, "frames": [{"op": "ping"}]},
    }
    return {
        "operationId": "poll_create",
        "description": "Open a session of long polling, hand frames to the server, or end it; answers come by GET.",
        "parameters": [_session()],
        "tags": ["poll"],
        "security": list(_SECURITY),
        "requestBody": {"content": {"application/json": posted}},
        "responses": _responses({"204": {"description": "No response body"}}, 400, 410, 413, 503),
    }
