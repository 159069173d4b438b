"""The moderation endpoints for members: parse, call one service or selector, render."""

from dataclasses import asdict
from functools import partial

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from accounts.api.authentication import user_of
from messaging.api.endpoints import answers, checked
from messaging.api.parsing import BoundedJSONParser, conversation_of, me, message_of
from messaging.api.parsing import user_of as user_id_of
from messaging.domain import ids
from messaging.moderation.api import serializers
from messaging.moderation.models import Report
from messaging.moderation.selectors import notices_for, reported_by
from messaging.moderation.services import reports

_answers = partial(answers, 401, 429)


class ReportThrottle(UserRateThrottle):
    """Reports and appeals, counted per user: each costs somebody's time."""

    scope = "report"


class ReportsView(APIView):
    """Reports to the moderators."""

    parser_classes = [BoundedJSONParser]
    throttle_classes = [ReportThrottle]

    @extend_schema(
        operation_id="reports_create",
        request=serializers.ReportSerializer,
        responses=_answers(400, 404, 413, _201=serializers.ReportedSerializer),
    )
    def post(self, request: Request) -> Response:
        """Report a message, a conversation or a person. What stands around it is kept as you see it now."""
        data = checked(serializers.ReportSerializer(data=request.data))
        report = _report(request, data)
        accused = report.case.accused_id
        return Response({"id": report.pk, "block": None if accused is None else ids.user_ref(accused)}, status=201)


def _report(request: Request, data: dict[str, str]) -> Report:
    reporter, category, text = user_of(request), data["category"], data["text"]
    if "message" in data:
        conversation_id, message_id = message_of(data["message"])
        return reports.report_message(
            reporter=reporter, conversation_id=conversation_id, message_id=message_id, category=category, text=text
        )
    if "conversation" in data:
        conversation_id = conversation_of(data["conversation"])
        return reports.report_conversation(
            reporter=reporter, conversation_id=conversation_id, category=category, text=text
        )
    return reports.report_user(reporter=reporter, user_id=user_id_of(data["user"]), category=category, text=text)


class AppealView(APIView):
    """What the author of a withheld message says against that."""

    parser_classes = [BoundedJSONParser]
    throttle_classes = [ReportThrottle]

    @extend_schema(
        operation_id="messages_appeal",
        request=serializers.AppealSerializer,
        responses=_answers(400, 404, 409, 413, _204=None),
    )
    def post(self, request: Request, message: str) -> Response:
        """Ask the moderators to give your message back; once for each time that they withhold it."""
        data = checked(serializers.AppealSerializer(data=request.data))
        conversation_id, message_id = message_of(message)
        reports.appeal(
            author=user_of(request), conversation_id=conversation_id, message_id=message_id, text=data["text"]
        )
        return Response(status=204)


class NoticesView(APIView):
    """What moderators decided about the user."""

    @extend_schema(operation_id="me_notices", responses=_answers(_200=serializers.NoticesSerializer))
    def get(self, request: Request) -> Response:
        """List the newest decisions about you: messages withheld, warnings, suspensions."""
        return Response({"results": [asdict(notice) for notice in notices_for(me(request))]})


class MyReportsView(APIView):
    """What the user reported."""

    @extend_schema(operation_id="me_reports", responses=_answers(_200=serializers.MyReportsSerializer))
    def get(self, request: Request) -> Response:
        """List what you reported, and whether the moderators acted on it."""
        return Response({"results": [asdict(report) for report in reported_by(me(request))]})
