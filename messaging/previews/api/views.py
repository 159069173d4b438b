"""The endpoints of previews: parse, call one service or selector, render."""

from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from chatproject import container
from messaging.api.endpoints import answers
from messaging.api.parsing import BoundedJSONParser, me, message_of
from messaging.domain import ids
from messaging.domain.errors import NotFound, TooLarge
from messaging.domain.links import host_of
from messaging.ports import MediaMissing
from messaging.previews import selectors, services
from messaging.previews.api import serializers

#: Messages whose previews are asked for at once: a page of history.
_MAX_MESSAGES: Final = 200
#: The reader's own browser may show it again so long without asking (s).
_MAX_AGE_S: Final = 3600
_WEBP = {(200, "image/webp"): OpenApiTypes.BINARY}


class _View(APIView):
    """Requests for what is shown are many, and share the allowance of media."""

    parser_classes = [BoundedJSONParser]
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "media"


class PreviewsView(_View):
    """What links lead to."""

    @extend_schema(
        operation_id="previews_list",
        parameters=[OpenApiParameter("message", OpenApiTypes.STR, many=True, description="`m_…`, at most 200 times.")],
        responses=answers(400, 401, 413, 429, _200=serializers.PreviewsSerializer),
    )
    def get(self, request: Request) -> Response:
        """Give the previews of messages; of those that the reader cannot read, and of those without one, none."""
        messages = request.query_params.getlist("message")
        if len(messages) > _MAX_MESSAGES:
            raise TooLarge(f"{len(messages)} messages; the limit is {_MAX_MESSAGES}")
        found = selectors.shown_with(me(request), messages)
        return Response({"results": [_rendered(one) for one in found]})


def _rendered(shown: selectors.Shown) -> dict[str, Any]:
    preview = shown.preview
    return {
        "message": shown.message,
        "url": preview.url,
        "host": host_of(preview.url),
        "title": preview.title,
        "description": preview.description,
        "image": bool(preview.image_key),
        "width": preview.width,
        "height": preview.height,
    }


class PreviewView(_View):
    """The preview of one message."""

    @extend_schema(operation_id="preview_remove", responses=answers(401, 403, 404, 429, _204=None))
    def delete(self, request: Request, message: str) -> Response:
        """Show none with this message of one's own, to nobody and for good."""
        conversation_id, message_id = message_of(message)
        services.remove(me(request), conversation_id, message_id)
        return Response(status=204)


class PictureView(_View):
    """The picture of a preview."""

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Take whatever the client accepts: it is asked for as a picture, and errors are JSON all the same."""
        return super().perform_content_negotiation(request, force=True)

    @extend_schema(operation_id="preview_image", responses={**answers(401, 404, 429, 503), **_WEBP})
    def get(self, request: Request, message: str) -> HttpResponse:
        """Give a WebP of at most 640 pixels a side, drawn anew by this server."""
        preview = selectors.picture(me(request), ids.server_id(*message_of(message)))
        try:
            data = b"".join(container.media_store().read(preview.image_key))
        except MediaMissing:
            raise NotFound("no such preview") from None
        response = HttpResponse(data, content_type="image/webp")
        response["Cache-Control"] = f"private, max-age={_MAX_AGE_S}"
        response["X-Content-Type-Options"] = "nosniff"
        response["Cross-Origin-Resource-Policy"] = "same-origin"
        return response
