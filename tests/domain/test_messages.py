"""Conversations and memberships as values."""

from datetime import UTC, datetime

from messaging.domain.ids import ConversationId, MessageId, UserId, first_id_at
from messaging.domain.messages import Conversation, ConversationType, Membership, Role

CREATED = datetime(2027, 1, 15, 8, 0, 0, 123_000, tzinfo=UTC)


def conversation(last_message_id: MessageId | None) -> Conversation:
    return Conversation(
        ConversationId(1), ConversationType.DM, CREATED, "", 2, frozenset({UserId(1), UserId(2)}), last_message_id
    )


def test_activity_is_the_last_message_or_before_it_the_creation() -> None:
    assert conversation(MessageId(99)).activity_id == 99
    assert conversation(None).activity_id == first_id_at(int(CREATED.timestamp() * 1000))
    assert first_id_at(int(CREATED.timestamp() * 1000)) < conversation(MessageId((1 << 62) + 5)).activity_id


def test_a_membership_is_active_until_it_has_an_end() -> None:
    place = Membership(UserId(1), ConversationId(1), Role.MEMBER, MessageId(0), CREATED)
    assert place.active
    assert not Membership(UserId(1), ConversationId(1), Role.MEMBER, MessageId(0), CREATED, MessageId(0)).active


def test_names_on_the_wire_and_in_the_tables_stay_as_they_are() -> None:
    assert [str(kind) for kind in ConversationType] == ["dm", "group_small", "group_large"]
    assert [str(role) for role in Role] == ["owner", "admin", "member"]
