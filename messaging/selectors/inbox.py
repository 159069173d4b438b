"""A user's conversations as lists and pages show them; a fixed number of queries for any length (design section 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils import timezone

from accounts.selectors import people
from chatproject import container
from messaging.domain import frames
from messaging.domain.errors import NotFound
from messaging.domain.ids import ConversationId, MediaId, MessageId, UserId
from messaging.domain.messages import Conversation, ConversationType, Membership, Unread
from messaging.ports import InboxRow
from messaging.selectors.access import require_member
from messaging.selectors.cursors import seal, unseal
from messaging.selectors.history import message_frame

#: Unread messages are counted up to here; a client shows "99+".
UNREAD_CAP: Final = 100
_INBOX: Final = "inbox"
_MEMBERS: Final = "members"
#: Members that are looked through at once for a name.
_LOOK: Final = 1_000


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member with a name. The names are empty where the account is gone."""

    membership: Membership
    username: str
    display_name: str
    is_bot: bool = False
    picture: MediaId | None = None


@dataclass(frozen=True, slots=True)
class ConversationView:
    """A conversation as one of its members sees it. ``members`` is None for a large group, ``peer`` for any group."""

    conversation: Conversation
    membership: Membership
    members: list[MemberView] | None
    peer: MemberView | None
    last_message: frames.Msg | None
    unread: Unread

    @property
    def archived(self) -> bool:
        """Whether it is put away: nothing was said since, or it is muted."""
        archived_id, muted_until = self.membership.shelf.archived_id, self.membership.muted_until
        if not archived_id:
            return False
        return self.conversation.activity_id <= archived_id or (
            muted_until is not None and muted_until > timezone.now()
        )

    @property
    def marked_unread(self) -> bool:
        """Whether it is marked as unread, and nothing newer was read since."""
        unread_id = self.membership.shelf.unread_id
        return bool(unread_id) and self.membership.last_read_id <= unread_id


@dataclass(frozen=True, slots=True)
class InboxPage:
    """Conversations, newest activity first; ``next`` is the cursor of the page after, or None."""

    results: list[ConversationView]
    next: str | None


@dataclass(frozen=True, slots=True)
class MembersPage:
    """Members in a fixed order; ``next`` is the cursor of the page after, or None."""

    results: list[MemberView]
    next: str | None


def inbox_page(*, user_id: UserId, cursor: str | None, limit: int, pinned: bool = False) -> InboxPage:
    """Return a page of the user's conversations; with ``pinned`` of those that the user keeps on top.

    Raises:
        InvalidInput: the cursor is forged or another user's.
    """
    before: tuple[int, int] | None = None
    if cursor is not None:
        activity, conversation = unseal(cursor, _INBOX, user_id, size=2)
        before = (activity, conversation)
    rows = container.conversation_store().inbox(user_id, before=before, limit=limit + 1, pinned=pinned)
    page = rows[:limit]
    following = None
    if len(rows) > limit:
        last = page[-1].conversation
        following = seal(_INBOX, user_id, last.activity_id, last.id)
    return InboxPage(_views(user_id, page), following)


def conversation_view(*, user_id: UserId, conversation_id: ConversationId) -> ConversationView:
    """Return one conversation. Raises NotFound where the user is no member."""
    access = require_member(user_id, conversation_id)
    return _views(user_id, [InboxRow(access.conversation, access.membership)])[0]


def members_page(*, user_id: UserId, conversation_id: ConversationId, cursor: str | None, limit: int) -> MembersPage:
    """Return a page of the members.

    Raises:
        NotFound: the user is no member.
        InvalidInput: the cursor is forged or of another conversation.
    """
    require_member(user_id, conversation_id)
    after = UserId(unseal(cursor, _MEMBERS, conversation_id, size=1)[0]) if cursor is not None else UserId(0)
    rows = container.conversation_store().members(conversation_id, after=after, limit=limit + 1)
    page = rows[:limit]
    following = seal(_MEMBERS, conversation_id, page[-1].user_id) if len(rows) > limit else None
    return MembersPage(_named(user_id, page), following)


def members_named(*, user_id: UserId, conversation_id: ConversationId, query: str, limit: int) -> list[MemberView]:
    """Return members whose user name or display name, or a word of it, begins with ``query``; ``limit`` at most.

    Reads all members, a page at a time, until there are as many. Raises NotFound: the user is no member.
    """
    require_member(user_id, conversation_id)
    store = container.conversation_store()
    found: list[Membership] = []
    after = UserId(0)
    while len(found) < limit and (page := store.members(conversation_id, after=after, limit=_LOOK)):
        wanted = people.named_among([place.user_id for place in page], query)
        found += [place for place in page if place.user_id in wanted]
        after = page[-1].user_id
    return _named(user_id, found[:limit])


def member_view(*, user_id: UserId, conversation_id: ConversationId, member_id: UserId) -> MemberView:
    """Return one member. Raises NotFound where the user or the other is no member."""
    require_member(user_id, conversation_id)
    place = container.conversation_store().membership(member_id, conversation_id)
    if place is None or not place.active:
        raise NotFound("no such member")
    return _named(user_id, [place])[0]


def _named(viewer: UserId, places: Sequence[Membership]) -> list[MemberView]:
    cards = people.cards_for(viewer, [place.user_id for place in places])
    views = []
    for place in places:
        card = cards.get(place.user_id)
        views.append(
            MemberView(place, card.username, card.display_name, card.is_bot, card.picture)
            if card
            else MemberView(place, "", "")
        )
    return views


def _views(user_id: UserId, rows: Sequence[InboxRow]) -> list[ConversationView]:
    if not rows:
        return []
    messages = container.message_store()
    rosters = container.conversation_store().rosters([row.conversation.id for row in rows])
    named: dict[tuple[ConversationId, UserId], MemberView] = {
        (view.membership.conversation_id, view.membership.user_id): view
        for view in _named(user_id, [place for roster in rosters.values() for place in roster])
    }
    last = messages.get(
        [
            (row.conversation.id, row.conversation.last_message_id)
            for row in rows
            # What was said last before the user joined, or is over its time, is not the user's to read.
            if row.conversation.last_message_id is not None and row.conversation.last_message_id > row.floor
        ]
    )
    unread = messages.count_unread(
        user_id,
        {row.conversation.id: MessageId(max(row.membership.last_read_id, row.floor)) for row in rows},
        cap=UNREAD_CAP,
    )
    views = []
    for row in rows:
        conversation = row.conversation
        roster = rosters.get(conversation.id)
        members = [named[conversation.id, place.user_id] for place in roster] if roster is not None else None
        peer = None
        if conversation.type is ConversationType.DM and members is not None:
            peer = next((view for view in members if view.membership.user_id != user_id), None)
        message = last.get((conversation.id, conversation.last_message_id or MessageId(0)))
        views.append(
            ConversationView(
                conversation,
                row.membership,
                members,
                peer,
                None if message is None else message_frame(message, viewer=user_id),
                unread.get(conversation.id, Unread()),
            )
        )
    return views
