"""Mentions as the router lets them stand: at a message's place in the log, whatever its door has passed."""

import pytest

from chatproject import container
from messaging.domain import events, frames
from messaging.domain.events import MessageChanged
from messaging.domain.ids import ConversationId, UserId, new_random_id, user_ref
from messaging.domain.mentions import EVERYBODY
from messaging.domain.messages import ConversationType, Role
from messaging.ports import NewConversation
from tests.router.conftest import Apply, Talk, ended, frames_for, id_of

pytestmark = pytest.mark.django_db


def test_only_who_can_read_a_message_is_mentioned(apply: Apply, group: Talk) -> None:
    ann, bob, cat = group.people
    said = group.said(ann, "@bob @cat", mentions=[cat, UserId(12345), bob])
    [*_, frame] = frames_for(apply(said), bob)
    assert frame.mentions == [user_ref(cat), user_ref(bob)]
    left = group.changed(cat, "member_left", cat)
    ended(group, [cat], left)
    later = group.said(ann, "@cat again", mentions=[cat])
    apply(left, later)
    assert [row.mentions for row in group.stored() if row.kind == "text"] == [[cat, bob], []]


def test_an_edit_has_mentions_of_its_own(apply: Apply, group: Talk) -> None:
    ann, bob, cat = group.people
    said = group.said(ann, "@bob", mentions=[bob])
    change = MessageChanged(ann, b"e" * 16, id_of(said), "edit", "@cat @all", mentions=[cat, EVERYBODY, UserId(12345)])
    [*_, frame] = frames_for(apply(said, group.record(events.encode(change))), bob)
    assert isinstance(frame, frames.EditEvent)
    assert frame.mentions == [user_ref(cat), "all"]
    [row] = group.stored()
    assert (row.mentions, row.mentioned) == ([bob], [cat, EVERYBODY])


@pytest.mark.parametrize(("role", "stands"), [(Role.MEMBER, False), (Role.ADMIN, True)])
def test_all_of_a_large_group_need_a_role_at_the_messages_place(
    apply: Apply, group: Talk, role: Role, stands: bool
) -> None:
    new = NewConversation(
        ConversationId(new_random_id()), ConversationType.GROUP_LARGE, group.people[0], tuple(group.people), "Large"
    )
    group.id = container.conversation_store().create(new)[0].id
    bob = group.people[1]
    container.conversation_store().set_role(bob, group.id, role)
    apply(group.said(bob, "@all", mentions=[EVERYBODY]))
    [row] = group.stored()
    assert row.mentions == ([EVERYBODY] if stands else [])


def test_a_dm_has_no_all(apply: Apply, dm: Talk) -> None:
    dan, eve = dm.people
    apply(dm.said(dan, "@all", mentions=[EVERYBODY, eve]))
    [row] = dm.stored()
    assert row.mentions == [eve]
