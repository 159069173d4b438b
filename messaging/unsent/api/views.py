"""The endpoints of what is not sent yet: parse, call one service or selector, render."""

from functools import partial
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from messaging.api.endpoints import answers, checked
from messaging.api.parsing import conversation_of, me
from messaging.api.render import moment
from messaging.api.serializers import SentSerializer
from messaging.api.views import MessagingView
from messaging.domain import ids
from messaging.domain.errors import NotFound
from messaging.domain.ids import ConversationId, ScheduledId
from messaging.unsent import scheduling, selectors, services
from messaging.unsent.api import serializers
from messaging.unsent.models import ScheduledMessage

_answers = partial(answers, 401, 429)


class DraftsView(MessagingView):
    """What the reader has begun to write."""

    @extend_schema(operation_id="drafts_list", responses=_answers(_200=serializers.DraftsSerializer))
    def get(self, request: Request) -> Response:
        """List the drafts, the newest first."""
        found = [
            {
                "conversation": ids.conversation_ref(ConversationId(row.conversation_id)),
                "body": row.body,
                "updated_at": moment(row.updated_at),
            }
            for row in selectors.drafts_of(me(request))
        ]
        return Response({"results": found})


class DraftView(MessagingView):
    """What the reader has begun in one conversation."""

    @extend_schema(operation_id="draft_retrieve", responses=_answers(404, _200=serializers.DraftBodySerializer))
    def get(self, request: Request, conversation: str) -> Response:
        """Show the draft; a blank one where there is none."""
        return Response({"body": selectors.draft_in(me(request), conversation_of(conversation))})

    @extend_schema(
        operation_id="draft_keep",
        request=serializers.DraftBodySerializer,
        responses=_answers(400, 404, 409, 413, _204=None),
    )
    def put(self, request: Request, conversation: str) -> Response:
        """Keep the draft for one's other devices, or, with a blank one, none."""
        body = checked(serializers.DraftBodySerializer(data=request.data))["body"]
        services.keep_draft(user=me(request), conversation_id=conversation_of(conversation), body=body)
        return Response(status=204)


def _rendered(row: ScheduledMessage) -> dict[str, Any]:
    plan = scheduling.plan_of(row)
    return {
        "id": ids.scheduled_ref(row.pk),
        "conversation": ids.conversation_ref(plan.conversation_id),
        "msg_id": plan.msg_id,
        "send_at": moment(plan.send_at),
        "state": row.state,
        "body": plan.body,
        "media": plan.media,
        "reply_to": plan.reply_to,
        "mentions": plan.mentions,
        "code": row.code,
        "detail": row.detail,
    }


def _scheduled_of(ref: str) -> ScheduledId:
    try:
        return ids.parse_scheduled(ref)
    except ids.InvalidId:
        raise NotFound("no such message") from None


class ScheduledListView(MessagingView):
    """What the server is to send for the reader."""

    @extend_schema(
        operation_id="scheduled_list",
        parameters=[OpenApiParameter("conversation", OpenApiTypes.STR, description="Only of this one, `c_…`.")],
        responses=_answers(404, _200=serializers.ScheduledListSerializer),
    )
    def get(self, request: Request) -> Response:
        """List what is to be sent later, and what could not be sent, the next one first."""
        ref = request.query_params.get("conversation")
        rows = selectors.scheduled_of(me(request), None if ref is None else conversation_of(ref))
        return Response({"results": [_rendered(row) for row in rows]})

    @extend_schema(
        operation_id="scheduled_create",
        request=serializers.ScheduleSerializer,
        responses=_answers(
            400, 403, 404, 409, 413, 503, _200=serializers.ScheduledSerializer, _201=serializers.ScheduledSerializer
        ),
    )
    def post(self, request: Request) -> Response:
        """Have a message sent later: 201, or 200 where `msg_id` was scheduled before."""
        data = checked(serializers.ScheduleSerializer(data=request.data))
        plan = scheduling.Plan(conversation_of(data.pop("conversation")), **data)
        row, created = scheduling.schedule(me(request), plan)
        return Response(_rendered(row), status=201 if created else 200)


class ScheduledView(MessagingView):
    """One message that is to be sent later."""

    @extend_schema(operation_id="scheduled_retrieve", responses=_answers(404, _200=serializers.ScheduledSerializer))
    def get(self, request: Request, scheduled: str) -> Response:
        """Show it."""
        return Response(_rendered(selectors.scheduled(me(request), _scheduled_of(scheduled))))

    @extend_schema(
        operation_id="scheduled_change",
        request=serializers.RescheduleSerializer,
        responses=_answers(400, 403, 404, 409, 413, _200=serializers.ScheduledSerializer),
    )
    def patch(self, request: Request, scheduled: str) -> Response:
        """Give it another text or time."""
        data = checked(serializers.RescheduleSerializer(data=request.data))
        return Response(_rendered(scheduling.reschedule(me(request), _scheduled_of(scheduled), **data)))

    @extend_schema(operation_id="scheduled_delete", responses=_answers(404, 409, _204=None))
    def delete(self, request: Request, scheduled: str) -> Response:
        """Have it not sent at all."""
        scheduling.withdraw(me(request), _scheduled_of(scheduled))
        return Response(status=204)


class SendNowView(MessagingView):
    """A message that is to be sent later, after all at once."""

    @extend_schema(
        operation_id="scheduled_send",
        request=None,
        responses=_answers(400, 403, 404, 409, 413, 503, _200=SentSerializer),
    )
    def post(self, request: Request, scheduled: str) -> Response:
        """Send it now; where that is refused, it stays with the reason."""
        row = selectors.scheduled(me(request), _scheduled_of(scheduled))
        sent = scheduling.send_now(me(request), ScheduledId(row.pk))
        plan = scheduling.plan_of(row)
        server_id = ids.server_id(plan.conversation_id, sent.message_id)
        return Response({"msg_id": plan.msg_id, "server_id": server_id, "ts": sent.ts_ms})
