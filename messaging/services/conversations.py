"""Create conversations and change who is in them (design sections 4 and 5).

Creation, roles and names are stored first and told to the log after. A joining and a departure go to the
log first: the places of their records are where a membership begins and ends, and nothing before the one
and after the other is seen.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import uuid4

from asgiref.sync import async_to_sync

from accounts.selectors import people
from chatproject import container
from messaging.domain import ids
from messaging.domain.errors import Blocked, Conflict, Forbidden, InvalidInput, NotFound, TooManyMembers
from messaging.domain.events import ChangeKind, ConversationChanged
from messaging.domain.ids import ConversationId, MediaId, MessageId, UserId
from messaging.domain.messages import Conversation, ConversationType, Membership, Role
from messaging.ports import NewConversation
from messaging.selectors.access import Access, require_member, require_role
from messaging.services.hints import hint
from messaging.services.screening import may_begin
from messaging.services.send import Sent, append_change

_RANK: Final = {Role.OWNER: 0, Role.ADMIN: 1, Role.MEMBER: 2}
_PAGE: Final = 500


def _tell(
    conversation: ConversationId,
    actor: UserId,
    change: ChangeKind,
    *,
    users: Sequence[UserId] = (),
    name: str | None = None,
    role: Role | None = None,
    timer_s: int | None = None,
) -> Sent:
    record = ConversationChanged(
        actor=actor,
        change=change,
        client_msg_id=uuid4().bytes,
        users=list(users),
        name=name,
        role=None if role is None else role.value,
        timer_s=timer_s,
    )
    return async_to_sync(append_change)(log=container.message_log(), conversation=conversation, change=record)


def _require_people(actor: UserId, users: Sequence[UserId]) -> None:
    """Pass users whose accounts exist and are not closed, and whom no block keeps from the actor.

    Raises:
        NotFound, Blocked.
    """
    if people.reachable(users) != set(users):
        raise NotFound("no such user")
    if people.blocked_pairs(actor, users):
        raise Blocked("one of these people and you have blocked each other, or one the other")


def _group_name(name: str) -> str:
    cleaned = name.strip()
    limit = container.limits().max_name_chars
    if len(cleaned) > limit:
        raise InvalidInput(f"the name has {len(cleaned)} characters; the limit is {limit}")
    if not cleaned.isprintable():
        raise InvalidInput("the name must be one line of printable characters")
    return cleaned


def _require_group(access: Access) -> None:
    if access.conversation.type is ConversationType.DM:
        raise Conflict("a direct conversation has two people and no name; this does not apply to it")


def create_conversation(
    *,
    actor: UserId,
    type: Literal["dm", "group"],
    members: Sequence[UserId],
    name: str = "",
    encrypted: bool = False,
) -> tuple[Conversation, bool]:
    """Create a conversation of the actor and ``members``, or return the DM that the pair has: ``(it, created)``.

    Raises:
        InvalidInput: a DM not with exactly one other person or with a name; a bad name.
        TooManyMembers: over the limit.
        NotFound: a member does not exist. Forbidden: a bot that speaks with its owner only.
        Blocked: a block stands between the actor and a member.
        RateLimited: moderators limit how many the actor begins.
        Conflict: an encrypted DM was asked for, and the pair has one that is not.
        Unavailable: it is stored, but not in the log.
    """
    others = [user for user in dict.fromkeys(members) if user != actor]
    limit = container.limits().max_members
    if len(others) + 1 > limit:
        raise TooManyMembers(f"the conversation would have {len(others) + 1} members; the limit is {limit}")
    if type == "dm":
        if len(others) != 1:
            raise InvalidInput("a direct conversation is with exactly one other person")
        if name:
            raise InvalidInput("a direct conversation has no name")
        if people.closed_bots(others, asker=actor):
            raise Forbidden("only its owner may begin a direct conversation with this bot")
        kind = ConversationType.DM
    else:
        name = _group_name(name)
        small = len(others) + 1 <= container.limits().max_group_small
        kind = ConversationType.GROUP_SMALL if small else ConversationType.GROUP_LARGE
    _require_people(actor, others)
    may_begin(actor)
    conversation, created = container.conversation_store().create(
        NewConversation(ConversationId(ids.new_random_id()), kind, actor, (actor, *others), name, encrypted)
    )
    if encrypted and not conversation.encrypted:
        # Whoever asked would write into it what they take for secret.
        raise Conflict("the two have a conversation already, and it is not encrypted")
    if created:
        _tell(conversation.id, actor, "created", users=[actor, *others], name=name or None)
    return conversation, created


def add_members(*, actor: UserId, conversation_id: ConversationId, users: Sequence[UserId]) -> list[UserId]:
    """Make users members, and return those who were not before. They see what comes after.

    Raises:
        NotFound: the actor is no member, or a user does not exist.
        Forbidden: the actor is neither owner nor admin. Blocked: a block stands between.
        Conflict: it is a DM. TooManyMembers: over the limit; nobody was added.
        Unavailable: nothing was changed.
    """
    access = require_member(actor, conversation_id)
    _require_group(access)
    require_role(access, Role.OWNER, Role.ADMIN)
    wanted = list(dict.fromkeys(users))
    if not wanted:
        raise InvalidInput("name at least one user")
    limit = container.limits().max_members
    if len(wanted) > limit:
        raise TooManyMembers(f"the conversation would have more than {limit} members")
    _require_people(actor, wanted)
    present = {place.user_id for place in everybody(conversation_id)}
    added = [user for user in wanted if user not in present]
    if not added:
        return []
    if len(present) + len(added) > limit:
        raise TooManyMembers(f"the conversation would have {len(present) + len(added)} members; the limit is {limit}")
    place_in_log = _tell(conversation_id, actor, "member_added", users=added)
    # The router does the same at the record's place; whoever is later finds it done.
    container.conversation_store().add_members(
        conversation_id, added, role=Role.MEMBER, limit=limit, at=place_in_log.message_id
    )
    return added


def join(*, user: UserId, conversation_id: ConversationId) -> None:
    """Make a user a member by their own act; whether they may is for the caller to see to (``messaging.invites``).

    Raises:
        TooManyMembers: the group is full. Unavailable: nothing was changed.
    """
    limit = container.limits().max_members
    conversation = container.conversation_store().get([conversation_id])[conversation_id]
    if conversation.members_count >= limit:
        raise TooManyMembers(f"the group has {limit} members; that is the limit")
    place_in_log = _tell(conversation_id, user, "member_added", users=[user])
    container.conversation_store().add_members(
        conversation_id, [user], role=Role.MEMBER, limit=limit, at=place_in_log.message_id
    )


def everybody(conversation_id: ConversationId) -> Iterator[Membership]:
    """Yield the active members, in pages of the store."""
    store = container.conversation_store()
    after = UserId(0)
    while page := store.members(conversation_id, after=after, limit=_PAGE):
        yield from page
        after = page[-1].user_id


def remove_member(*, actor: UserId, conversation_id: ConversationId, user: UserId) -> None:
    """End a membership; removing oneself is leaving. When the owner leaves, the oldest admin, else member, is owner.

    Raises:
        NotFound: the actor or the user is no member.
        Forbidden: only the owner removes admins, nobody the owner, and members nobody but themselves.
        Conflict: it is a DM.
        Unavailable: nothing was changed.
    """
    access = require_member(actor, conversation_id)
    _require_group(access)
    store = container.conversation_store()
    if user == actor:
        if access.membership.role is Role.OWNER:
            _hand_over(access)
        change: ChangeKind = "member_left"
    else:
        require_role(access, Role.OWNER, Role.ADMIN)
        place = _active_place(conversation_id, user)
        if _RANK[place.role] <= _RANK[access.membership.role]:
            raise Forbidden("your role in this conversation does not allow removing this member")
        change = "member_removed"
    place_in_log = _tell(conversation_id, actor, change, users=[user])
    store.end_membership(user, conversation_id, at=place_in_log.message_id)


def _active_place(conversation_id: ConversationId, user: UserId) -> Membership:
    place = container.conversation_store().membership(user, conversation_id)
    if place is None or not place.active:
        raise NotFound("no such member")
    return place


def _hand_over(access: Access) -> None:
    """Make the oldest admin, else the oldest member, owner before the owner goes."""
    candidates = (place for place in everybody(access.conversation.id) if place.user_id != access.membership.user_id)
    heir = min(candidates, key=_seniority, default=None)
    if heir is not None:
        container.conversation_store().set_role(heir.user_id, access.conversation.id, Role.OWNER)
        _tell(
            access.conversation.id,
            access.membership.user_id,
            "role_changed",
            users=[heir.user_id],
            role=Role.OWNER,
        )


def _seniority(place: Membership) -> tuple[int, datetime, int]:
    return _RANK[place.role], place.joined_at, place.user_id


def set_role(*, actor: UserId, conversation_id: ConversationId, user: UserId, role: Role) -> None:
    """Give a member a role. Making someone owner makes the old owner an admin.

    Raises:
        NotFound: the actor or the user is no member. Forbidden: the actor is not the owner.
        Conflict: it is a DM, or the owner would be nobody.
        Unavailable: the role is changed, but the log does not know yet.
    """
    access = require_member(actor, conversation_id)
    _require_group(access)
    require_role(access, Role.OWNER)
    place = _active_place(conversation_id, user)
    if place.role is role:
        return
    if user == actor:
        raise Conflict("make another member the owner first")
    store = container.conversation_store()
    # The new owner first: a crash in between leaves two owners, never none.
    store.set_role(user, conversation_id, role)
    if role is Role.OWNER:
        store.set_role(actor, conversation_id, Role.ADMIN)
    _tell(conversation_id, actor, "role_changed", users=[user], role=role)


def rename(*, actor: UserId, conversation_id: ConversationId, name: str) -> None:
    """Give a group another name.

    Raises:
        NotFound, Forbidden, InvalidInput: as their names say. Conflict: it is a DM.
        Unavailable: it is renamed, but the log does not know yet.
    """
    access = require_member(actor, conversation_id)
    _require_group(access)
    require_role(access, Role.OWNER, Role.ADMIN)
    cleaned = _group_name(name)
    if cleaned == access.conversation.name:
        return
    container.conversation_store().rename(conversation_id, cleaned)
    _tell(conversation_id, actor, "renamed", name=cleaned)


def may_manage(actor: UserId, conversation_id: ConversationId) -> Conversation:
    """Pass who may change a group's name or picture, and return the group.

    Raises:
        NotFound: the actor is no member. Forbidden: neither owner nor admin. Conflict: it is a DM.
    """
    access = require_member(actor, conversation_id)
    _require_group(access)
    require_role(access, Role.OWNER, Role.ADMIN)
    return access.conversation


def set_picture(*, actor: UserId, conversation_id: ConversationId, picture: MediaId | None) -> None:
    """Give a group another picture, or none; whether the file may be one is for the caller to see to.

    Raises:
        NotFound, Forbidden, Conflict: as ``may_manage``. Unavailable: it is set, but the log does not know yet.
    """
    if may_manage(actor, conversation_id).picture == picture:
        return
    container.conversation_store().set_picture(conversation_id, picture)
    _tell(conversation_id, actor, "picture_set")


def set_timer(*, actor: UserId, conversation_id: ConversationId, timer_s: int | None) -> None:
    """Have messages expire after so many seconds, those of before as well; None: not any more. Members are told.

    Raises:
        NotFound: the actor is no member. Forbidden: the actor is a member of a group and neither owner nor admin.
        InvalidInput: less than a day, or more than ten years.
        Unavailable: it is set, but the log does not know yet.
    """
    limits = container.limits()
    if timer_s is not None and not limits.min_timer_s <= timer_s <= limits.max_timer_s:
        raise InvalidInput(f"timer_s: from {limits.min_timer_s} to {limits.max_timer_s} seconds, or null")
    access = require_member(actor, conversation_id)
    if access.conversation.type is not ConversationType.DM:
        require_role(access, Role.OWNER, Role.ADMIN)
    if timer_s == access.conversation.timer_s:
        return
    container.conversation_store().set_timer(conversation_id, timer_s)
    _tell(conversation_id, actor, "timer_set", timer_s=timer_s)


def set_muted(*, actor: UserId, conversation_id: ConversationId, until: datetime | None) -> None:
    """Mute the conversation for the actor until a moment, or unmute it (None); the actor's devices are told.

    Raises:
        NotFound: the actor is no member.
    """
    require_member(actor, conversation_id)
    container.conversation_store().set_muted(actor, conversation_id, until)
    hint([actor], conversation_id, "settings")


def shelve(
    *,
    actor: UserId,
    conversation_id: ConversationId,
    archived: bool | None = None,
    pinned: bool | None = None,
    unread: bool | None = None,
) -> None:
    """Put a conversation away, keep it on top of the list, mark it as unread, or undo it; None leaves it as it is.

    For the actor alone, whose devices are told. One that is put away comes back with the next message, unless it is
    muted; one that is marked as unread is so until its next message is read, or it is taken back.

    Raises:
        NotFound: the actor is no member. Conflict: ``max_pinned_conversations`` are on top already.
    """
    access = require_member(actor, conversation_id)
    store, newest = container.conversation_store(), access.conversation.activity_id
    limit = container.limits().max_pinned_conversations
    if pinned and not access.membership.shelf.pinned and len(store.inbox(actor, limit=limit, pinned=True)) >= limit:
        raise Conflict(f"you have pinned {limit} conversations; that is the limit")

    def place(on: bool | None) -> MessageId | None:
        return None if on is None else newest if on else MessageId(0)

    store.shelve(actor, conversation_id, archived_id=place(archived), pinned=pinned, unread_id=place(unread))
    hint([actor], conversation_id, "settings")
