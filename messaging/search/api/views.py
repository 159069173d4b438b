"""The endpoint of the search: parse, call one selector, render (docs/search.md)."""

import re
from datetime import date, datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from messaging.api.endpoints import answers
from messaging.api.parsing import cursor_of, limit_of, me
from messaging.domain import ids
from messaging.domain.errors import InvalidInput
from messaging.domain.search import Has, day_of, has_of
from messaging.search import selectors
from messaging.search.api import serializers
from messaging.search.selectors import Hit, Wish

_DEFAULT_PAGE: Final = 20

_PARAMETERS = [
    OpenApiParameter(
        "q", OpenApiTypes.STR, description='Words, "phrases", and from:, in:, before:, after:, has: with their values.'
    ),
    OpenApiParameter("from", OpenApiTypes.STR, description="Who wrote it: `me`, a user name, or `u_…`."),
    OpenApiParameter("in", OpenApiTypes.STR, description="Where: `c_…`, `@name` for a DM, or part of a group's name."),
    OpenApiParameter("before", OpenApiTypes.STR, description="Sent before this day or moment (ISO 8601)."),
    OpenApiParameter("after", OpenApiTypes.STR, description="Sent at or after this moment, or since this day began."),
    OpenApiParameter("has", OpenApiTypes.STR, many=True, enum=list(Has), description="May be given several times."),
    OpenApiParameter("utc_offset", OpenApiTypes.INT, description="Minutes by which the reader's days begin early."),
    OpenApiParameter("cursor", OpenApiTypes.STR, description="`next` of the page before."),
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200; 20 by default."),
]


class SearchView(APIView):
    """Messages by their words."""

    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "search"

    @extend_schema(
        operation_id="messages_search",
        parameters=_PARAMETERS,
        responses=answers(400, 401, 404, 429, 503, _200=serializers.SearchSerializer),
    )
    def get(self, request: Request) -> Response:
        """Find messages that the reader may read, newest first. All that is asked for has to hold."""
        given = request.query_params
        wish = Wish(
            text=given.get("q", ""),
            sender=given.get("from", "").strip(),
            place=given.get("in", "").strip(),
            before=_moment_of(given.get("before")),
            after=_moment_of(given.get("after")),
            has=frozenset(map(has_of, given.getlist("has"))),
            utc_offset_min=_offset_of(given.get("utc_offset")),
        )
        page = selectors.search_page(
            user_id=me(request),
            wish=wish,
            cursor=cursor_of(request, "cursor"),
            limit=limit_of(request, default=_DEFAULT_PAGE),
        )
        return Response({"results": [_rendered(hit) for hit in page.results], "next": page.next})


def _moment_of(text: str | None) -> datetime | date | None:
    """Return a moment, or a day, of a parameter. Raises InvalidInput."""
    if not text:
        return None
    if "T" not in text:
        return day_of(text)
    try:
        # A space is what a plus sign becomes in an address.
        moment = parse_datetime(text.replace(" ", "+"))
    except ValueError:
        moment = None
    if moment is None:
        raise InvalidInput("before and after are days (2027-01-31) or moments (2027-01-31T09:00:00Z)")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)


def _offset_of(text: str | None) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?\d{1,4}", text.strip(), re.ASCII):
        raise InvalidInput("utc_offset is a whole number of minutes")
    return int(text)


def _rendered(hit: Hit) -> dict[str, Any]:
    it = hit.message
    return {
        "server_id": ids.server_id(it.conversation_id, it.message_id),
        "conv": ids.conversation_ref(it.conversation_id),
        "from": ids.user_ref(it.sender_id),
        "ts": ids.timestamp_ms(it.message_id),
        "edited_at": None if it.edit_id is None else ids.timestamp_ms(it.edit_id),
        "media": it.media,
        "snippet": [{"text": segment.text, "match": segment.match} for segment in hit.snippet],
    }
