"""The endpoints of what is not sent yet: parse, call one service or selector, render."""

from functools import partial

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from messaging.api.endpoints import answers, checked
from messaging.api.parsing import conversation_of, me
from messaging.api.render import moment
from messaging.api.views import MessagingView
from messaging.domain import ids
from messaging.domain.ids import ConversationId
from messaging.unsent import selectors, services
from messaging.unsent.api import serializers

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
