"""The endpoints of media: parse, call one service or selector, render (docs/media.md)."""

from collections.abc import Mapping
from typing import IO, Any, Final

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from messaging.api.endpoints import answers, checked
from messaging.api.parsing import BoundedJSONParser, bounded, conversation_of, me, user_of
from messaging.domain import ids
from messaging.domain.errors import InvalidInput, NotFound, TooLarge
from messaging.domain.ids import MediaId
from messaging.media import portraits, selectors, services
from messaging.media.api import render, serializers
from messaging.media.api.serving import serve
from messaging.media.models import MediaObject

#: Messages whose media are described at once: a page of history.
_MAX_MESSAGES: Final = 200

_MESSAGE = OpenApiParameter(
    "message",
    OpenApiTypes.STR,
    description="`m_…` of the message that it is read in. Without: one's own, not sent yet.",
)
_BYTES = {(200, "application/octet-stream"): OpenApiTypes.BINARY}


class OctetParser(BaseParser):
    """A body as it is, of at most ``MAX_BODY_BYTES``. Raises TooLarge."""

    media_type = "application/octet-stream"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the bytes."""
        return bounded(stream)


class MediaView(APIView):
    """Base of the endpoints of media: their requests are many, and have an allowance of their own."""

    parser_classes = [BoundedJSONParser]
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "media"

    def mine(self, request: Request, ref: str) -> MediaObject:
        """Return an object of the asker's own that was not sent yet. Raises NotFound."""
        return selectors.own(me(request), _media_of(ref))


def _media_of(ref: str) -> MediaId:
    try:
        return ids.parse_media(ref)
    except ids.InvalidId:
        raise NotFound("no such media") from None


class MediaListView(MediaView):
    """Files."""

    @extend_schema(
        operation_id="media_list",
        parameters=[OpenApiParameter("message", OpenApiTypes.STR, many=True, description="`m_…`, at most 200 times.")],
        responses=answers(400, 401, 413, 429, _200=serializers.MediaListSerializer),
    )
    def get(self, request: Request) -> Response:
        """Describe the files of messages; of those that the reader cannot read, and of deleted ones, none."""
        messages = request.query_params.getlist("message")
        if len(messages) > _MAX_MESSAGES:
            raise TooLarge(f"{len(messages)} messages; the limit is {_MAX_MESSAGES}")
        return Response({"results": [render.media(item) for item in selectors.described(me(request), messages)]})

    @extend_schema(
        operation_id="media_create",
        request=serializers.NewMediaSerializer,
        responses=answers(400, 401, 403, 404, 413, 429, 503, _201=serializers.UploadSerializer),
    )
    def post(self, request: Request) -> Response:
        """Begin an upload; the answer says which parts to send, and where."""
        data = checked(serializers.NewMediaSerializer(data=request.data))
        where = data["conversation"]
        conversation = services.OF_NO_CONVERSATION if where is None else conversation_of(where)
        new = services.NewUpload(
            conversation, data["name"], data["size"], data["type"], data["voice"], data["duration_ms"]
        )
        return Response(render.upload(services.begin_upload(me(request), new)), status=201)


class MediaItemView(MediaView):
    """One's own file that was not sent yet."""

    @extend_schema(
        operation_id="media_retrieve", responses=answers(401, 404, 429, 503, _200=serializers.UploadSerializer)
    )
    def get(self, request: Request, media: str) -> Response:
        """Show what has become of it, and which parts are missing."""
        return Response(render.upload(self.mine(request, media)))

    @extend_schema(operation_id="media_delete", responses=answers(401, 404, 409, 429, 503, _204=None))
    def delete(self, request: Request, media: str) -> Response:
        """Cancel the upload, or delete the file."""
        services.cancel(self.mine(request, media))
        return Response(status=204)


class PartView(MediaView):
    """One part of an upload."""

    parser_classes = [OctetParser]

    @extend_schema(
        operation_id="media_part_put",
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses=answers(400, 401, 404, 409, 413, 429, 503, _204=None),
    )
    def put(self, request: Request, media: str, number: str) -> Response:
        """Store the part; the same one again is harmless."""
        item = self.mine(request, media)
        if not (number.isascii() and number.isdigit() and len(number) <= 5):
            raise InvalidInput("a part has a number")
        services.put_part(item, int(number), request.data if isinstance(request.data, bytes) else b"")
        return Response(status=204)


class CompleteView(MediaView):
    """The end of an upload."""

    @extend_schema(
        operation_id="media_complete",
        request=None,
        responses=answers(401, 404, 409, 429, 503, _202=serializers.UploadSerializer),
    )
    def post(self, request: Request, media: str) -> Response:
        """Have the file looked at: its state becomes `ready` or `refused` within seconds. Repeating it is harmless."""
        return Response(render.upload(services.complete(self.mine(request, media))), status=202)


class BytesView(MediaView):
    """What a file holds."""

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Take whatever the client accepts: a picture is asked for as a picture, and errors are JSON all the same."""
        return super().perform_content_negotiation(request, force=True)


class ContentView(BytesView):
    """A file's bytes."""

    @extend_schema(
        operation_id="media_content", parameters=[_MESSAGE], responses={**answers(400, 401, 404, 429, 503), **_BYTES}
    )
    def get(self, request: Request, media: str) -> HttpResponseBase:
        """Give the bytes, or the one range that is asked for; or lead to where the store gives them."""
        item = selectors.readable(me(request), _media_of(media), message=request.query_params.get("message"))
        return serve(request, item, thumbnail=False)


class PictureView(BytesView):
    """A group's picture."""

    @extend_schema(operation_id="picture_retrieve", responses={**answers(401, 404, 429, 503), **_BYTES})
    def get(self, request: Request, conversation: str) -> HttpResponseBase:
        """Give a WebP of at most 640 pixels a side, to members."""
        return serve(request, selectors.picture_of(me(request), conversation_of(conversation)), thumbnail=True)

    @extend_schema(
        operation_id="picture_set",
        request=serializers.PictureSerializer,
        responses=answers(400, 401, 403, 404, 409, 413, 429, 503, _204=None),
    )
    def put(self, request: Request, conversation: str) -> Response:
        """Give the group another picture; for its owner and admins."""
        data = checked(serializers.PictureSerializer(data=request.data))
        services.set_picture(me(request), conversation_of(conversation), _media_of(data["media"]))
        return Response(status=204)

    @extend_schema(operation_id="picture_remove", responses=answers(401, 403, 404, 409, 429, 503, _204=None))
    def delete(self, request: Request, conversation: str) -> Response:
        """Take the picture away; for the owner and admins."""
        services.set_picture(me(request), conversation_of(conversation), None)
        return Response(status=204)


class PortraitView(BytesView):
    """A person's picture."""

    @extend_schema(operation_id="users_picture", responses={**answers(401, 404, 429, 503), **_BYTES})
    def get(self, request: Request, user: str) -> HttpResponseBase:
        """Give a square WebP of at most 256 pixels, to everybody but across a block."""
        return serve(request, selectors.portrait_of(me(request), user_of(user)), thumbnail=True)


class OwnPortraitView(MediaView):
    """One's own picture."""

    @extend_schema(
        operation_id="me_picture_set",
        request=serializers.PictureSerializer,
        responses=answers(400, 401, 403, 404, 413, 429, 503, _204=None),
    )
    def put(self, request: Request) -> Response:
        """Have another picture; the one before is deleted."""
        data = checked(serializers.PictureSerializer(data=request.data))
        portraits.set_portrait(me(request), _media_of(data["media"]))
        return Response(status=204)

    @extend_schema(operation_id="me_picture_remove", responses=answers(401, 403, 429, 503, _204=None))
    def delete(self, request: Request) -> Response:
        """Have none, and the file deleted."""
        portraits.set_portrait(me(request), None)
        return Response(status=204)


class ThumbnailView(BytesView):
    """A picture's thumbnail."""

    @extend_schema(
        operation_id="media_thumbnail", parameters=[_MESSAGE], responses={**answers(400, 401, 404, 429, 503), **_BYTES}
    )
    def get(self, request: Request, media: str) -> HttpResponseBase:
        """Give a WebP of at most 640 pixels a side."""
        item = selectors.readable(me(request), _media_of(media), message=request.query_params.get("message"))
        return serve(request, item, thumbnail=True)
