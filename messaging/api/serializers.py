"""Shapes of the messaging API: requests to check, answers to document. Answers are made in ``render``."""

from typing import Any

from rest_framework import serializers

from messaging.api.parsing import (
    BoundedListField,
    StrictCharField,
    UserRefField,
    check_media,
    check_members,
    check_mentions,
)
from messaging.domain.messages import Role

ROLES = [role.value for role in Role]


# --- requests -------------------------------------------------------------------------------------


class NewConversationSerializer(serializers.Serializer[Any]):
    """A conversation to create."""

    type = serializers.ChoiceField(choices=["dm", "group"])
    members = BoundedListField(
        child=UserRefField(), check=check_members, help_text="`u_…` of the others; of one for a DM."
    )
    name = StrictCharField(required=False, allow_blank=True, default="", help_text="For groups only.")
    encrypted = serializers.BooleanField(
        required=False, default=False, help_text="What is written in it only its members can read; for good."
    )


class RenameSerializer(serializers.Serializer[Any]):
    """A group's new name."""

    name = StrictCharField(allow_blank=True)


def _mentions() -> BoundedListField:
    return BoundedListField(
        child=StrictCharField(),
        check=check_mentions,
        required=False,
        default=list,
        help_text="`u_…` of members whom the text names, or `all`.",
    )


class SendSerializer(serializers.Serializer[Any]):
    """A message, as in the socket's `send`."""

    msg_id = StrictCharField(help_text="A UUID made by the client; repeating it makes no second message.")
    body = StrictCharField(required=False, allow_blank=True, default="", help_text="At most 64 KiB of UTF-8.")
    media = BoundedListField(child=StrictCharField(), check=check_media, required=False, default=list)
    reply_to = StrictCharField(required=False, allow_null=True, default=None, help_text="`m_…` of this conversation.")
    forwarded_from = StrictCharField(
        required=False, allow_null=True, default=None, help_text="`m_…` of any message that the sender can read."
    )
    mentions = _mentions()


class EditSerializer(serializers.Serializer[Any]):
    """Another text for one's own message, as in the socket's `edit`."""

    msg_id = StrictCharField(help_text="A UUID made by the client; repeating it makes no second edit.")
    body = StrictCharField(allow_blank=True, help_text="At most 64 KiB of UTF-8.")
    mentions = _mentions()


class AddMembersSerializer(serializers.Serializer[Any]):
    """Users to add."""

    members = BoundedListField(child=UserRefField(), check=check_members, allow_empty=False)


class RoleSerializer(serializers.Serializer[Any]):
    """A member's new role; `owner` hands the conversation over."""

    role = serializers.ChoiceField(choices=ROLES)


class ReadSerializer(serializers.Serializer[Any]):
    """Up to where the user has read."""

    server_id = StrictCharField()


class MuteSerializer(serializers.Serializer[Any]):
    """Until when to keep quiet; null: not at all."""

    until = serializers.DateTimeField(allow_null=True)


class ShelfSerializer(serializers.Serializer[Any]):
    """Where the reader keeps a conversation; what is left out stays as it is."""

    archived = serializers.BooleanField(required=False)
    pinned = serializers.BooleanField(required=False)
    marked_unread = serializers.BooleanField(required=False)


class TimerSerializer(serializers.Serializer[Any]):
    """After how many seconds messages are to expire; null: never."""

    timer_s = serializers.IntegerField(allow_null=True, help_text="Seconds, from a day to ten years.")


# --- answers --------------------------------------------------------------------------------------


class EventSerializer(serializers.Serializer[Any]):
    """What a message of kind `event` tells."""

    type = serializers.ChoiceField(
        choices=[
            "created",
            "member_added",
            "member_removed",
            "member_left",
            "role_changed",
            "renamed",
            "timer_set",
            "picture_set",
        ]
    )
    users = serializers.ListField(child=serializers.CharField(), help_text="At most the first hundred.")
    name = serializers.CharField(allow_null=True)
    role = serializers.CharField(allow_null=True)
    timer_s = serializers.IntegerField(allow_null=True, help_text="Of `timer_set`: seconds; null for never.")


class ReactionSerializer(serializers.Serializer[Any]):
    """What a message got of one emoji."""

    emoji = serializers.CharField()
    count = serializers.IntegerField()
    mine = serializers.BooleanField(help_text="The reader is among them.")
    users = serializers.ListField(child=serializers.CharField(), help_text="The first few.")


class MessageSerializer(serializers.Serializer[Any]):
    """A message as it is now, with the fields of the socket's `msg`."""

    server_id = serializers.CharField()
    conv = serializers.CharField()
    ts = serializers.IntegerField(help_text="Unix milliseconds.")
    body = serializers.CharField()
    media = serializers.ListField(child=serializers.CharField())
    prev = serializers.CharField(allow_null=True, help_text="The message or change before it in the conversation.")
    reply_to = serializers.CharField(allow_null=True)
    kind = serializers.ChoiceField(choices=["text", "event"])
    msg_id = serializers.UUIDField(required=False, help_text="Only of one's own messages.")
    event = EventSerializer(required=False, help_text="Only with kind `event`.")
    forwarded = serializers.BooleanField()
    edited_at = serializers.IntegerField(allow_null=True, help_text="Unix milliseconds; null where it never was.")
    deleted = serializers.BooleanField(help_text="Then body, media and reactions are empty.")
    withheld = serializers.BooleanField(help_text="By moderators; then body and media are empty.")
    reactions = ReactionSerializer(many=True)
    mentions = serializers.ListField(child=serializers.CharField(), help_text="`u_…`, or `all`.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields, with `from`, which Python keeps for itself."""
        return {**super().get_fields(), "from": serializers.CharField()}


class MemberSerializer(serializers.Serializer[Any]):
    """A member of a conversation."""

    id = serializers.CharField()
    username = serializers.CharField()
    display_name = serializers.CharField()
    is_bot = serializers.BooleanField(help_text="A program's account; show it.")
    picture = serializers.CharField(allow_null=True, help_text="Of the person, as of `GET /v1/users/:id`.")
    role = serializers.ChoiceField(choices=ROLES)
    joined_at = serializers.DateTimeField()
    last_read = serializers.CharField(allow_null=True, help_text="`m_…` of the last message read.")


class ConversationSerializer(serializers.Serializer[Any]):
    """A conversation as one of its members sees it."""

    id = serializers.CharField()
    type = serializers.ChoiceField(choices=["dm", "group"])
    name = serializers.CharField()
    members = MemberSerializer(many=True, allow_null=True, help_text="Null above 100 members: see /members.")
    members_count = serializers.IntegerField()
    encrypted = serializers.BooleanField(help_text="Bodies are ciphertext, which only the members' clients can read.")
    peer = MemberSerializer(allow_null=True, help_text="The other one of a DM.")
    role = serializers.ChoiceField(choices=ROLES, help_text="The reader's own.")
    last_message = MessageSerializer(allow_null=True)
    last_read = serializers.CharField(allow_null=True, help_text="The reader's own mark, `m_…`.")
    unread_count = serializers.IntegerField(max_value=100, help_text="Counted up to 100.")
    mentioned = serializers.BooleanField(help_text="An unread message mentions the reader.")
    picture = serializers.CharField(
        allow_null=True, help_text="`f_…` of a group: it changes with the picture, which is at `/picture`."
    )
    muted_until = serializers.DateTimeField(allow_null=True)
    pinned = serializers.BooleanField(help_text="The reader keeps it on top of the list.")
    archived = serializers.BooleanField(
        help_text="The reader put it away. The next message brings it back, unless it is muted."
    )
    marked_unread = serializers.BooleanField(help_text="The reader marked it as unread, whatever `unread_count` says.")
    timer_s = serializers.IntegerField(allow_null=True, help_text="Messages expire after so many seconds; null: never.")
    expired_before = serializers.CharField(
        allow_null=True, help_text="`m_…`: what is older is over its time; drop it. Null: nothing is."
    )
    created_at = serializers.DateTimeField()


class SeenSerializer(serializers.Serializer[Any]):
    """Whether somebody is online, or else when they last were."""

    state = serializers.ChoiceField(choices=["online", "offline"])
    last_seen = serializers.IntegerField(
        allow_null=True, help_text="Unix milliseconds; null while online or not known."
    )


class CommonGroupSerializer(serializers.Serializer[Any]):
    """A group of which both are members."""

    id = serializers.CharField()
    name = serializers.CharField()
    members_count = serializers.IntegerField()
    picture = serializers.CharField(allow_null=True)


class ProfileSerializer(serializers.Serializer[Any]):
    """A person as the reader may see them."""

    id = serializers.CharField(help_text="`u_…`")
    username = serializers.CharField()
    display_name = serializers.CharField()
    picture = serializers.CharField(allow_null=True, help_text="As of `GET /v1/users/:id`; null across a block.")
    about = serializers.CharField(help_text="What they say of themselves; empty across a block.")
    presence = SeenSerializer(allow_null=True, help_text="Null where the reader may not know.")
    groups = CommonGroupSerializer(many=True, help_text="In common, newest activity first; at most 50.")


class InboxSerializer(serializers.Serializer[Any]):
    """A page of conversations, newest activity first."""

    results = ConversationSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Pass as `cursor`.")


class HistorySerializer(serializers.Serializer[Any]):
    """A page of messages, newest first."""

    results = MessageSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Older ones: pass as `before`.")
    prev = serializers.CharField(allow_null=True, help_text="Newer ones: pass as `after`.")
    mark = serializers.CharField(
        allow_null=True, help_text="`m_…` of a message or change: all changes up to it are in the results."
    )


class PinSerializer(serializers.Serializer[Any]):
    """A message that is pinned to its conversation."""

    message = MessageSerializer()
    by = serializers.CharField(help_text="Who pinned it, `u_…`.")
    ts = serializers.IntegerField(help_text="When, in Unix milliseconds.")


class PinsSerializer(serializers.Serializer[Any]):
    """What is pinned in a conversation, the newest pin first; at most 50."""

    results = PinSerializer(many=True)


class MembersSerializer(serializers.Serializer[Any]):
    """A page of members."""

    results = MemberSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="Pass as `cursor`.")


class SentSerializer(serializers.Serializer[Any]):
    """A message or change that is in the log, as in the socket's `ack`."""

    msg_id = serializers.CharField()
    server_id = serializers.CharField()
    ts = serializers.IntegerField(help_text="Unix milliseconds.")


class AddedSerializer(serializers.Serializer[Any]):
    """Who became a member and was none before."""

    added = serializers.ListField(child=serializers.CharField())


class ReadMarkSerializer(serializers.Serializer[Any]):
    """Where the read mark stands now."""

    server_id = serializers.CharField()


class MutedSerializer(serializers.Serializer[Any]):
    """Until when the conversation is mute."""

    muted_until = serializers.DateTimeField(allow_null=True)


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457. `code` is one of the socket's error codes, or one of HTTP's own."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    retry_after = serializers.FloatField(required=False, help_text="Seconds.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields, with ``errors``, a name that the serializer has in use itself."""
        errors = serializers.DictField(required=False, help_text="Field -> what is wrong with it.")
        return {**super().get_fields(), "errors": errors}
