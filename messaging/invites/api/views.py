"""The endpoints of invitations: parse, call one service or selector, render."""

import re
from functools import partial
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from messaging.api.endpoints import answers, checked
from messaging.api.parsing import conversation_of, me, user_of
from messaging.api.render import moment, picture
from messaging.api.views import MessagingView
from messaging.domain import ids
from messaging.domain.errors import NotFound
from messaging.domain.ids import UserId
from messaging.invites import selectors, services
from messaging.invites.api import serializers
from messaging.invites.models import Invite

_answers = partial(answers, 401, 429)


_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,32}")


def _token_of(text: str) -> str:
    """Return the token in a path. Raises NotFound: a malformed one is an absent one."""
    if not _TOKEN.fullmatch(text):
        raise NotFound("no such invitation, or it is over")
    return text


def _invite(invite: Invite) -> dict[str, Any]:
    return {
        "token": invite.token,
        "path": f"/join/{invite.token}",
        "created_by": ids.user_ref(UserId(invite.created_by)),
        "created_at": moment(invite.created_at),
        "expires_at": moment(invite.expires_at),
        "max_uses": invite.max_uses,
        "uses": invite.uses,
        "approval": invite.approval,
    }


class InvitesView(MessagingView):
    """The links into a group."""

    @extend_schema(operation_id="invites_list", responses=_answers(403, 404, 409, _200=serializers.InvitesSerializer))
    def get(self, request: Request, conversation: str) -> Response:
        """List the links that are in force; for the owner and admins."""
        found = selectors.invites_of(me(request), conversation_of(conversation))
        return Response({"results": [_invite(invite) for invite in found]})

    @extend_schema(
        operation_id="invites_create",
        request=serializers.NewInviteSerializer,
        responses=_answers(400, 403, 404, 409, 413, _201=serializers.InviteSerializer),
    )
    def post(self, request: Request, conversation: str) -> Response:
        """Make a link by which people come into the group, or ask to; for the owner and admins."""
        data = checked(serializers.NewInviteSerializer(data=request.data))
        invite = services.create_invite(actor=me(request), conversation_id=conversation_of(conversation), **data)
        return Response(_invite(invite), status=201)


class InviteView(MessagingView):
    """One link into a group."""

    @extend_schema(operation_id="invites_revoke", responses=_answers(403, 404, 409, _204=None))
    def delete(self, request: Request, conversation: str, token: str) -> Response:
        """Revoke the link: nobody else comes in by it."""
        services.revoke_invite(actor=me(request), conversation_id=conversation_of(conversation), token=_token_of(token))
        return Response(status=204)


class JoinView(MessagingView):
    """A link, for who has it."""

    @extend_schema(operation_id="invitation_retrieve", responses=_answers(404, _200=serializers.InvitationSerializer))
    def get(self, request: Request, token: str) -> Response:
        """Show what the link leads to."""
        found = selectors.preview(me(request), _token_of(token))
        conversation = found.conversation
        return Response(
            {
                "conversation": ids.conversation_ref(conversation.id),
                "name": conversation.name,
                "members_count": conversation.members_count,
                "encrypted": conversation.encrypted,
                "approval": found.approval,
                "standing": found.standing,
            }
        )

    @extend_schema(
        operation_id="invitation_accept",
        request=None,
        responses=_answers(400, 404, 409, 413, 503, _200=serializers.JoinedSerializer),
    )
    def post(self, request: Request, token: str) -> Response:
        """Come into the group, or ask to be let in. Repeating it is harmless."""
        conversation_id, status = services.join(user=me(request), token=_token_of(token))
        return Response({"conversation": ids.conversation_ref(conversation_id), "status": status})


class RequestsView(MessagingView):
    """Who asks to be let into a group."""

    @extend_schema(
        operation_id="join_requests_list", responses=_answers(403, 404, 409, _200=serializers.RequestsSerializer)
    )
    def get(self, request: Request, conversation: str) -> Response:
        """List who asks, in the order of asking; for the owner and admins."""
        found = selectors.asking(me(request), conversation_of(conversation))
        return Response(
            {
                "results": [
                    {
                        "id": ids.user_ref(one.user_id),
                        "username": one.username,
                        "display_name": one.display_name,
                        "picture": picture(one.picture),
                        "created_at": moment(one.created_at),
                    }
                    for one in found
                ]
            }
        )


class RequestView(MessagingView):
    """Somebody who asks to be let into a group."""

    @extend_schema(
        operation_id="join_requests_decide",
        request=serializers.DecisionSerializer,
        responses=_answers(400, 403, 404, 409, 413, 503, _204=None),
    )
    def post(self, request: Request, conversation: str, user: str) -> Response:
        """Let them in, or not; who is not may ask again after a day."""
        accept = checked(serializers.DecisionSerializer(data=request.data))["accept"]
        services.decide(
            actor=me(request), conversation_id=conversation_of(conversation), user=user_of(user), accept=accept
        )
        return Response(status=204)
