"""The messaging endpoints: parse, call one service or selector, render (design section 5)."""

from functools import partial
from typing import Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.scopes import require_all_conversations
from messaging.api import render, serializers
from messaging.api.endpoints import answers, checked
from messaging.api.parsing import (
    BoundedJSONParser,
    conversation_of,
    cursor_of,
    flag_of,
    limit_of,
    me,
    message_of,
    time_of,
    user_of,
)
from messaging.domain import ids
from messaging.domain.errors import InvalidInput, NotFound
from messaging.domain.ids import DeviceId, MessageId
from messaging.domain.messages import Role
from messaging.selectors import history, inbox, messages, profiles
from messaging.services import changes, conversations, post, read_marks

_DEFAULT_PAGE: Final = 50

_LIMIT = OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200; 50 by default.")
_MAX_QUERY_CHARS: Final = 80
_CURSOR = OpenApiParameter("cursor", OpenApiTypes.STR, description="`next` of the page before.")


#: With what any of them may answer.
_answers = partial(answers, 401, 429)


class MessagingView(APIView):
    """Base of the messaging endpoints: JSON only, and bounded."""

    parser_classes = [BoundedJSONParser]


class ProfileView(MessagingView):
    """A person as the reader may see them."""

    @extend_schema(operation_id="profile_retrieve", responses=_answers(404, _200=serializers.ProfileSerializer))
    def get(self, request: Request, user: str) -> Response:
        """Show what they say of themselves, when they were here, if the reader may know, and the groups in common."""
        return Response(render.profile(profiles.profile(me(request), user_of(user))))


class ConversationsView(MessagingView):
    """The reader's conversations."""

    @extend_schema(
        operation_id="conversations_list",
        parameters=[
            _CURSOR,
            _LIMIT,
            OpenApiParameter("pinned", OpenApiTypes.BOOL, description="`true`: only those that the reader pinned."),
        ],
        responses=_answers(400, _200=serializers.InboxSerializer),
    )
    def get(self, request: Request) -> Response:
        """List the conversations, newest activity first; pinned ones are among the others, at their place."""
        page = inbox.inbox_page(
            user_id=me(request),
            cursor=cursor_of(request, "cursor"),
            limit=limit_of(request, default=_DEFAULT_PAGE),
            pinned=flag_of(request, "pinned"),
        )
        return Response({"results": [render.conversation(view) for view in page.results], "next": page.next})

    @extend_schema(
        operation_id="conversations_create",
        request=serializers.NewConversationSerializer,
        responses=_answers(
            400,
            403,
            404,
            409,
            413,
            503,
            _200=serializers.ConversationSerializer,
            _201=serializers.ConversationSerializer,
        ),
    )
    def post(self, request: Request) -> Response:
        """Create a conversation (201). The DM of a pair that has one is returned as it is (200)."""
        data = checked(serializers.NewConversationSerializer(data=request.data))
        conversation, created = conversations.create_conversation(
            actor=me(request),
            type=data["type"],
            members=data["members"],
            name=data["name"],
            encrypted=data["encrypted"],
        )
        view = inbox.conversation_view(user_id=me(request), conversation_id=conversation.id)
        return Response(render.conversation(view), status=201 if created else 200)


class ConversationView(MessagingView):
    """One conversation."""

    @extend_schema(
        operation_id="conversations_retrieve", responses=_answers(404, _200=serializers.ConversationSerializer)
    )
    def get(self, request: Request, conversation: str) -> Response:
        """Show the conversation."""
        view = inbox.conversation_view(user_id=me(request), conversation_id=conversation_of(conversation))
        return Response(render.conversation(view))

    @extend_schema(
        operation_id="conversations_rename",
        request=serializers.RenameSerializer,
        responses=_answers(400, 403, 404, 409, 413, 503, _200=serializers.ConversationSerializer),
    )
    def patch(self, request: Request, conversation: str) -> Response:
        """Rename a group; for its owner and admins."""
        data = checked(serializers.RenameSerializer(data=request.data))
        conversation_id = conversation_of(conversation)
        conversations.rename(actor=me(request), conversation_id=conversation_id, name=data["name"])
        return Response(
            render.conversation(inbox.conversation_view(user_id=me(request), conversation_id=conversation_id))
        )


class MessagesView(MessagingView):
    """The messages of a conversation."""

    @extend_schema(
        operation_id="messages_list",
        parameters=[
            OpenApiParameter("before", OpenApiTypes.STR, description="Older than this: `next`, or a `server_id`."),
            OpenApiParameter("after", OpenApiTypes.STR, description="Newer than this: `prev`, or a `server_id`."),
            _LIMIT,
        ],
        responses=_answers(400, 404, _200=serializers.HistorySerializer),
    )
    def get(self, request: Request, conversation: str) -> Response:
        """List messages, newest first; with `after` alone, those that follow it directly."""
        page = history.history_page(
            user_id=me(request),
            conversation_id=conversation_of(conversation),
            before=cursor_of(request, "before"),
            after=cursor_of(request, "after"),
            limit=limit_of(request, default=_DEFAULT_PAGE),
        )
        results = [render.message(frame) for frame in page.results]
        return Response({"results": results, "next": page.next, "prev": page.prev, "mark": page.mark})

    @extend_schema(
        operation_id="messages_send",
        request=serializers.SendSerializer,
        responses=_answers(
            400, 403, 404, 409, 413, 503, _200=serializers.SentSerializer, _201=serializers.SentSerializer
        ),
    )
    def post(self, request: Request, conversation: str) -> Response:
        """Send a message: 201 once it is durable, 200 with the first one's id where `msg_id` was sent before."""
        data = checked(serializers.SendSerializer(data=request.data))
        conversation_id = conversation_of(conversation)
        if data["forwarded_from"] is not None:
            require_all_conversations(request)
        sent = post.post_message(sender=me(request), conversation_id=conversation_id, **data)
        return Response(
            {
                "msg_id": data["msg_id"],
                "server_id": ids.server_id(conversation_id, sent.message_id),
                "ts": sent.ts_ms,
            },
            status=200 if sent.duplicate else 201,
        )


class SinceView(MessagingView):
    """A place in a conversation by its time."""

    @extend_schema(
        operation_id="messages_since",
        parameters=[
            OpenApiParameter(
                "at", OpenApiTypes.DATETIME, required=True, description="With its zone: `2026-03-01T00:00:00+01:00`."
            )
        ],
        responses=_answers(400, 404, _200=serializers.MessageSerializer),
    )
    def get(self, request: Request, conversation: str) -> Response:
        """Show the first message at or after a moment: where a day begins, say. 404 where nothing was said since."""
        frame = history.first_since(
            user_id=me(request), conversation_id=conversation_of(conversation), at=time_of(request, "at")
        )
        if frame is None:
            raise NotFound("nothing was said since")
        return Response(render.message(frame))


_MSG_ID = OpenApiParameter(
    "msg_id", OpenApiTypes.UUID, description="The change's own id; repeating it makes no second one."
)


class MessageView(MessagingView):
    """One message."""

    @extend_schema(operation_id="messages_retrieve", responses=_answers(404, _200=serializers.MessageSerializer))
    def get(self, request: Request, message: str) -> Response:
        """Show the message as it is now."""
        conversation_id, message_id = message_of(message)
        frame = messages.one_message(user_id=me(request), conversation_id=conversation_id, message_id=message_id)
        return Response(render.message(frame))

    @extend_schema(
        operation_id="messages_edit",
        request=serializers.EditSerializer,
        responses=_answers(400, 403, 404, 409, 413, 503, _200=serializers.SentSerializer),
    )
    def patch(self, request: Request, message: str) -> Response:
        """Give one's own message another text; answers once the edit is durable."""
        data = checked(serializers.EditSerializer(data=request.data))
        conversation_id, message_id = message_of(message)
        sent = changes.edit_message(actor=me(request), conversation_id=conversation_id, message_id=message_id, **data)
        server_id = ids.server_id(conversation_id, sent.message_id)
        return Response({"msg_id": data["msg_id"], "server_id": server_id, "ts": sent.ts_ms})

    @extend_schema(
        operation_id="messages_delete", parameters=[_MSG_ID], responses=_answers(400, 403, 404, 503, _204=None)
    )
    def delete(self, request: Request, message: str) -> Response:
        """Delete a message for everyone: one's own, or, for a group's owner and admins, any."""
        conversation_id, message_id = message_of(message)
        changes.delete_message(
            actor=me(request),
            conversation_id=conversation_id,
            message_id=message_id,
            msg_id=request.query_params.get("msg_id"),
        )
        return Response(status=204)


class ReactionView(MessagingView):
    """One's own reaction to a message with one emoji."""

    @extend_schema(
        operation_id="reactions_set",
        request=None,
        parameters=[_MSG_ID],
        responses=_answers(400, 403, 404, 409, 413, 503, _204=None),
    )
    def put(self, request: Request, message: str, emoji: str) -> Response:
        """Put an emoji to a message."""
        return self._set(request, message, emoji, on=True)

    @extend_schema(
        operation_id="reactions_remove", parameters=[_MSG_ID], responses=_answers(400, 403, 404, 409, 503, _204=None)
    )
    def delete(self, request: Request, message: str, emoji: str) -> Response:
        """Take it back."""
        return self._set(request, message, emoji, on=False)

    def _set(self, request: Request, message: str, emoji: str, *, on: bool) -> Response:
        conversation_id, message_id = message_of(message)
        changes.set_reaction(
            actor=me(request),
            conversation_id=conversation_id,
            message_id=message_id,
            emoji=emoji,
            on=on,
            msg_id=request.query_params.get("msg_id"),
        )
        return Response(status=204)


class PinView(MessagingView):
    """Whether a message is pinned to the top of its conversation."""

    @extend_schema(
        operation_id="pins_set",
        request=None,
        parameters=[_MSG_ID],
        responses=_answers(400, 403, 404, 409, 413, 503, _204=None),
    )
    def put(self, request: Request, message: str) -> Response:
        """Pin a message for everybody: in a direct conversation for both, in a group for its owner and admins."""
        return self._set(request, message, on=True)

    @extend_schema(
        operation_id="pins_remove", parameters=[_MSG_ID], responses=_answers(400, 403, 404, 409, 503, _204=None)
    )
    def delete(self, request: Request, message: str) -> Response:
        """Take a pinned message down."""
        return self._set(request, message, on=False)

    def _set(self, request: Request, message: str, *, on: bool) -> Response:
        conversation_id, message_id = message_of(message)
        changes.set_pinned(
            actor=me(request),
            conversation_id=conversation_id,
            message_id=message_id,
            on=on,
            msg_id=request.query_params.get("msg_id"),
        )
        return Response(status=204)


class PinsView(MessagingView):
    """What is pinned in a conversation."""

    @extend_schema(operation_id="pins_list", responses=_answers(404, _200=serializers.PinsSerializer))
    def get(self, request: Request, conversation: str) -> Response:
        """List the pinned messages as they are now, the newest pin first."""
        found = messages.pinned_messages(user_id=me(request), conversation_id=conversation_of(conversation))
        return Response({"results": [render.pin(one) for one in found]})


class MembersView(MessagingView):
    """The members of a conversation."""

    @extend_schema(
        operation_id="members_list",
        parameters=[
            _CURSOR,
            _LIMIT,
            OpenApiParameter("q", OpenApiTypes.STR, description="Beginning of a name: these alone, in one page."),
        ],
        responses=_answers(400, 404, _200=serializers.MembersSerializer),
    )
    def get(self, request: Request, conversation: str) -> Response:
        """List the members in pages, or find some by the beginning of their user name or display name."""
        query = request.query_params.get("q", "").strip()
        if query:
            if len(query) > _MAX_QUERY_CHARS or "\x00" in query:
                raise InvalidInput(f"q: up to {_MAX_QUERY_CHARS} characters")
            found = inbox.members_named(
                user_id=me(request),
                conversation_id=conversation_of(conversation),
                query=query,
                limit=limit_of(request, default=_DEFAULT_PAGE),
            )
            return Response({"results": [render.member(view) for view in found], "next": None})
        page = inbox.members_page(
            user_id=me(request),
            conversation_id=conversation_of(conversation),
            cursor=cursor_of(request, "cursor"),
            limit=limit_of(request, default=_DEFAULT_PAGE),
        )
        return Response({"results": [render.member(view) for view in page.results], "next": page.next})

    @extend_schema(
        operation_id="members_add",
        request=serializers.AddMembersSerializer,
        responses=_answers(400, 403, 404, 409, 413, 503, _200=serializers.AddedSerializer),
    )
    def post(self, request: Request, conversation: str) -> Response:
        """Add members to a group; for its owner and admins."""
        data = checked(serializers.AddMembersSerializer(data=request.data))
        added = conversations.add_members(
            actor=me(request), conversation_id=conversation_of(conversation), users=data["members"]
        )
        return Response({"added": [ids.user_ref(user) for user in added]})


class MemberView(MessagingView):
    """One member of a conversation."""

    @extend_schema(
        operation_id="members_set_role",
        request=serializers.RoleSerializer,
        responses=_answers(400, 403, 404, 409, 413, 503, _200=serializers.MemberSerializer),
    )
    def patch(self, request: Request, conversation: str, user: str) -> Response:
        """Give a member a role; for the owner."""
        data = checked(serializers.RoleSerializer(data=request.data))
        conversation_id, member_id = conversation_of(conversation), user_of(user)
        conversations.set_role(
            actor=me(request), conversation_id=conversation_id, user=member_id, role=Role(data["role"])
        )
        view = inbox.member_view(user_id=me(request), conversation_id=conversation_id, member_id=member_id)
        return Response(render.member(view))

    @extend_schema(operation_id="members_remove", responses=_answers(403, 404, 409, 503, _204=None))
    def delete(self, request: Request, conversation: str, user: str) -> Response:
        """Remove a member, or leave."""
        conversations.remove_member(
            actor=me(request), conversation_id=conversation_of(conversation), user=user_of(user)
        )
        return Response(status=204)


class ReadView(MessagingView):
    """The reader's mark in a conversation."""

    @extend_schema(
        operation_id="read_mark_set",
        request=serializers.ReadSerializer,
        responses=_answers(400, 404, 413, 503, _200=serializers.ReadMarkSerializer),
    )
    def put(self, request: Request, conversation: str) -> Response:
        """Mark everything up to a message as read. The mark never moves back; the answer says where it stands."""
        data = checked(serializers.ReadSerializer(data=request.data))
        conversation_id = conversation_of(conversation)
        stands = read_marks.mark_read(
            user_id=me(request),
            # A browser's session is a device without a token; the receipt of a reading needs none.
            device_id=DeviceId(getattr(request.auth, "id", 0)),
            conversation_id=conversation_id,
            message_id=_message_of(data["server_id"], conversation_id),
        )
        return Response({"server_id": ids.server_id(conversation_id, stands)})


def _message_of(server_id: str, conversation_id: int) -> MessageId:
    try:
        conversation, message = ids.parse_server_id(server_id)
    except ids.InvalidId:
        raise InvalidInput("server_id is malformed") from None
    if conversation != conversation_id:
        raise InvalidInput("server_id is of another conversation")
    return message


class MuteView(MessagingView):
    """Whether the conversation keeps quiet for its reader."""

    @extend_schema(
        operation_id="mute_set",
        request=serializers.MuteSerializer,
        responses=_answers(400, 404, 413, _200=serializers.MutedSerializer),
    )
    def put(self, request: Request, conversation: str) -> Response:
        """Mute until a moment, or unmute with null."""
        until = checked(serializers.MuteSerializer(data=request.data))["until"]
        conversations.set_muted(actor=me(request), conversation_id=conversation_of(conversation), until=until)
        return Response({"muted_until": render.moment(until)})


class ShelfView(MessagingView):
    """Where the reader keeps the conversation: nobody else's affair."""

    @extend_schema(
        operation_id="shelf_change",
        request=serializers.ShelfSerializer,
        responses=_answers(400, 404, 409, 413, _200=serializers.ConversationSerializer),
    )
    def patch(self, request: Request, conversation: str) -> Response:
        """Put the conversation away, keep it on top of the list, or mark it as unread; or undo it."""
        data = checked(serializers.ShelfSerializer(data=request.data))
        conversation_id = conversation_of(conversation)
        conversations.shelve(
            actor=me(request),
            conversation_id=conversation_id,
            archived=data.get("archived"),
            pinned=data.get("pinned"),
            unread=data.get("marked_unread"),
        )
        return Response(
            render.conversation(inbox.conversation_view(user_id=me(request), conversation_id=conversation_id))
        )


class TimerView(MessagingView):
    """After which time messages of the conversation expire."""

    @extend_schema(
        operation_id="timer_set",
        request=serializers.TimerSerializer,
        responses=_answers(400, 403, 404, 413, 503, _200=serializers.ConversationSerializer),
    )
    def put(self, request: Request, conversation: str) -> Response:
        """Have messages expire, or not any more with null; for a group's owner and admins, and both of a DM.

        It counts for what was said before as well.
        """
        timer_s = checked(serializers.TimerSerializer(data=request.data))["timer_s"]
        conversation_id = conversation_of(conversation)
        conversations.set_timer(actor=me(request), conversation_id=conversation_id, timer_s=timer_s)
        return Response(
            render.conversation(inbox.conversation_view(user_id=me(request), conversation_id=conversation_id))
        )
