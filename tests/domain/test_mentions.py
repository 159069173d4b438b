"""Whom a message may mention, and how that is spelt."""

import pytest

from messaging.domain.errors import InvalidInput, TooLarge
from messaging.domain.ids import ConversationId, UserId, conversation_ref, user_ref
from messaging.domain.limits import Limits
from messaging.domain.mentions import EVERYBODY, may_mention_everybody, mention_refs, mentions_user, parse_mentions
from messaging.domain.messages import ConversationType, Role

ANN, BOB = UserId(11), UserId(22)


def test_mentions_keep_their_order_and_come_once() -> None:
    refs = [user_ref(BOB), "all", user_ref(ANN), user_ref(BOB)]
    parsed = parse_mentions(refs, limits=Limits())
    assert parsed == [BOB, EVERYBODY, ANN]
    assert mention_refs(parsed) == refs[:3]
    assert parse_mentions([], limits=Limits()) == []


@pytest.mark.parametrize("ref", ["", "u_", "ann", "ALL", conversation_ref(ConversationId(3)), user_ref(ANN) + "x"])
def test_what_is_neither_a_user_nor_all_is_refused(ref: str) -> None:
    with pytest.raises(InvalidInput):
        parse_mentions([user_ref(ANN), ref], limits=Limits())


def test_too_many_are_refused_before_they_are_read() -> None:
    refs = [user_ref(UserId(number)) for number in range(1, 52)]
    assert len(parse_mentions(refs[:50], limits=Limits())) == 50
    with pytest.raises(TooLarge):
        parse_mentions(["nobody's id"] * 51, limits=Limits())


@pytest.mark.parametrize(
    ("type", "role", "may"),
    [
        (ConversationType.DM, Role.MEMBER, False),
        (ConversationType.GROUP_SMALL, Role.MEMBER, True),
        (ConversationType.GROUP_LARGE, Role.MEMBER, False),
        (ConversationType.GROUP_LARGE, Role.ADMIN, True),
        (ConversationType.GROUP_LARGE, Role.OWNER, True),
    ],
)
def test_who_may_mention_all(type: ConversationType, role: Role, may: bool) -> None:
    assert may_mention_everybody(type, role) is may


def test_all_are_mentioned_with_everybody() -> None:
    assert mentions_user([BOB], BOB)
    assert mentions_user([EVERYBODY], ANN)
    assert not mentions_user([BOB], ANN)
