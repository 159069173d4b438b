"""The endpoint of incoming webhooks: parse, call one service, render (docs/bots.md)."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from messaging.api.endpoints import answers, checked
from messaging.api.parsing import BoundedJSONParser, BoundedListField, StrictCharField, check_mentions
from messaging.domain import ids
from messaging.domain.errors import InvalidInput
from messaging.hooks import incoming

#: Of the key by which a sender repeats itself.
_MAX_KEY_CHARS = 200


class HookThrottle(SimpleRateThrottle):
    """Messages, counted per address."""

    scope = "hook"

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Count what comes in by one address."""
        # A digest: the cache is no place for secrets.
        return self.cache_format % {"scope": self.scope, "ident": sha256(view.kwargs["token"].encode()).hexdigest()}


class HookMessageSerializer(serializers.Serializer[Any]):
    """What a webhook says. Other fields, as senders for Slack have them, are passed over."""

    text = StrictCharField(help_text="At most 64 KiB of UTF-8; formatted as other messages are.")
    mentions = BoundedListField(
        child=StrictCharField(),
        check=check_mentions,
        required=False,
        default=list,
        help_text="`u_…` of members whom the text names.",
    )
    reply_to = StrictCharField(required=False, allow_null=True, default=None, help_text="`m_…` of this conversation.")
    idempotency_key = StrictCharField(
        required=False, max_length=_MAX_KEY_CHARS, help_text="Repeating it makes no second message, for seven days."
    )


class HookSentSerializer(serializers.Serializer[Any]):
    """A message that is in the log."""

    ok = serializers.BooleanField()
    msg_id = serializers.CharField()
    server_id = serializers.CharField()
    ts = serializers.IntegerField(help_text="Unix milliseconds.")


class HookView(APIView):
    """One address by which others write."""

    parser_classes = [BoundedJSONParser, FormParser]
    authentication_classes: Sequence[Any] = []
    permission_classes = [AllowAny]
    throttle_classes = [HookThrottle]

    @extend_schema(
        operation_id="hooks_post",
        request={"application/json": HookMessageSerializer, "application/x-www-form-urlencoded": OpenApiTypes.OBJECT},
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description="As `idempotency_key` in the body.",
            )
        ],
        responses=answers(400, 403, 404, 413, 429, 503, _200=HookSentSerializer),
        auth=[],
    )
    def post(self, request: Request, token: str) -> Response:
        """Write a message as the webhook's bot; the address is the permission. Answered once it is durable.

        A form with the JSON in its field `payload` is as good, as Slack has it. 404: the webhook was revoked, or its
        bot is not in the conversation any more; 429: too many, come back after `Retry-After`.
        """
        hook = incoming.hook_of(token)
        data = checked(HookMessageSerializer(data=_said(request.data)))
        key = data.get("idempotency_key") or request.headers.get("Idempotency-Key", "")
        if len(key) > _MAX_KEY_CHARS:
            raise InvalidInput(f"Idempotency-Key: at most {_MAX_KEY_CHARS} characters")
        posted = incoming.post(
            hook=hook, text=data["text"], mentions=data["mentions"], reply_to=data["reply_to"], key=key
        )
        server_id = ids.server_id(posted.conversation, posted.sent.message_id)
        return Response({"ok": True, "msg_id": posted.msg_id, "server_id": server_id, "ts": posted.sent.ts_ms})


def _said(data: Any) -> Any:
    """Return the body; of a form the JSON in its field ``payload``. Raises InvalidInput."""
    if not hasattr(data, "getlist"):
        return data
    try:
        return json.loads(data.get("payload", ""))
    except (ValueError, RecursionError):
        raise InvalidInput("a form has JSON in its field payload") from None
