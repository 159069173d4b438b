"""The endpoints for one's own data: parse, call one service, render."""

from functools import partial
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts.api.authentication import user_of
from accounts.api.serializers import ProofSerializer
from accounts.api.views import PasswordThrottle
from accounts.services.proof import prove
from messaging.api.endpoints import answers, checked
from messaging.api.parsing import BoundedJSONParser
from messaging.rights import erasures, exports
from messaging.rights.models import DataExport

_answers = partial(answers, 401, 429)


class ExportSerializer(serializers.Serializer[Any]):
    """One copy of the user's data."""

    id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=DataExport.State.choices)
    requested_at = serializers.DateTimeField()
    ready_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    size = serializers.IntegerField(help_text="Bytes.")
    sha256 = serializers.CharField(allow_blank=True)


class ExportsSerializer(serializers.Serializer[Any]):
    """Copies, newest first."""

    results = ExportSerializer(many=True)


class ExportsView(APIView):
    """Copies of one's own data."""

    parser_classes = [BoundedJSONParser]

    def get_throttles(self) -> list[BaseThrottle]:
        """Count tries of the password as such."""
        return [PasswordThrottle()] if self.request.method == "POST" else super().get_throttles()

    @extend_schema(operation_id="exports_list", responses=_answers(_200=ExportsSerializer))
    def get(self, request: Request) -> Response:
        """List the copies that you asked for."""
        return Response({"results": ExportSerializer(exports.exports_of(user_of(request)), many=True).data})

    @extend_schema(
        operation_id="exports_create",
        request=ProofSerializer,
        responses=_answers(400, 403, 409, _201=ExportSerializer),
    )
    def post(self, request: Request) -> Response:
        """Ask for a copy of your data: one a day. It is made in the background.

        `code`: of the second factor, where there is one.
        """
        prove(user=user_of(request), **checked(ProofSerializer(data=request.data)))
        export = exports.request_export(user=user_of(request))
        return Response(ExportSerializer(export).data, status=201)


class ExportFileView(APIView):
    """The file of a copy."""

    @extend_schema(
        operation_id="exports_file",
        responses={(200, "application/zip"): OpenApiTypes.BINARY, **_answers(404)},
    )
    def get(self, request: Request, export: int) -> Any:
        """Download it: a zip with JSON Lines, a page and a manifest."""
        found, pieces = exports.file_of(user=user_of(request), export_id=export)
        headers = {
            "Content-Disposition": f'attachment; filename="chat-data-{found.pk}.zip"',
            "Content-Length": str(found.size),
            "Cache-Control": "no-store",
        }
        return StreamingHttpResponse(pieces, content_type="application/zip", headers=headers)


class ErasureSerializer(serializers.Serializer[Any]):
    """What was asked for."""

    due_at = serializers.DateTimeField(help_text="When the account is closed, and its deletion begins.")


class ErasureView(APIView):
    """The end of one's account."""

    parser_classes = [BoundedJSONParser]
    throttle_classes = [PasswordThrottle]

    @extend_schema(
        operation_id="erasure_create",
        request=ProofSerializer,
        responses=_answers(400, 403, 409, _202=ErasureSerializer),
    )
    def post(self, request: Request) -> Response:
        """Have your account deleted, with all that you wrote. You are signed out everywhere.

        Signing in before `due_at` takes it back. `code`: of the second factor, where there is one.
        """
        data = checked(ProofSerializer(data=request.data))
        erasure = erasures.request(user=user_of(request), password=data["password"], code=data["code"])
        return Response(ErasureSerializer(erasure).data, status=202)
