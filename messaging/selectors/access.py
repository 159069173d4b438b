"""The only door to a conversation: who may see it, and who may write to it (design section 11)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from accounts.selectors import people
from chatproject import container
from messaging.domain.errors import Blocked, ChatError, Forbidden, NotFound
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.messages import Conversation, ConversationType, Membership, Role


@dataclass(frozen=True, slots=True)
class Access:
    """A conversation and the place of the one who asks in it."""

    conversation: Conversation
    membership: Membership

    @property
    def floor(self) -> MessageId:
        """The newest id that the one who asks may not see."""
        return self.membership.floor(self.conversation.expired_id)


@dataclass(frozen=True, slots=True)
class Room:
    """A conversation as somebody meets it who may write there: the other members (of a large group, none).

    ``hot_k``: over how many sub-partitions it is spread.
    """

    others: frozenset[UserId]
    hot_k: int


def require_member(user_id: UserId, conversation_id: ConversationId, *, also_former: bool = False) -> Access:
    """Return the conversation and the user's membership.

    Raises:
        NotFound: there is no such conversation, or the user is no member: the two look alike.
    """
    store = container.conversation_store()
    membership = store.membership(user_id, conversation_id)
    if membership is None or not (membership.active or also_former):
        raise NotFound("no such conversation")
    conversation = store.get([conversation_id]).get(conversation_id)
    if conversation is None:
        raise NotFound("no such conversation")
    return Access(conversation, membership)


def require_role(access: Access, *roles: Role) -> None:
    """Pass who has one of these roles. Raises Forbidden."""
    if access.membership.role not in roles:
        raise Forbidden("your role in this conversation does not allow this")


def senders(
    asked: Sequence[tuple[ConversationId, UserId]],
) -> dict[tuple[ConversationId, UserId], Room | ChatError]:
    """Return, for each (conversation, user), what the user meets there if he may write, else the refusal.

    Two queries for all small conversations, one for each large group.
    """
    found = container.conversation_store().get({conversation for conversation, _ in asked})
    answers: dict[tuple[ConversationId, UserId], Room | ChatError] = {}
    pairs: dict[tuple[ConversationId, UserId], tuple[UserId, UserId]] = {}
    for key in asked:
        conversation = found.get(key[0])
        if conversation is None or not _is_member(key[1], conversation):
            answers[key] = NotFound("no such conversation")
            continue
        others = (conversation.members or frozenset()) - {key[1]}
        answers[key] = Room(others, conversation.hot_k)
        if conversation.type is ConversationType.DM:
            for other in others:
                pairs[key] = (key[1], other)
    if pairs:
        blocked = people.blocks_between(pairs.values())
        for key, pair in pairs.items():
            if pair in blocked:
                answers[key] = Blocked("you cannot write to each other: one of you has blocked the other")
    return answers


def _is_member(user_id: UserId, conversation: Conversation) -> bool:
    if conversation.members is not None:
        return user_id in conversation.members
    membership = container.conversation_store().membership(user_id, conversation.id)
    return membership is not None and membership.active


def may_send(user_id: UserId, conversation_id: ConversationId) -> Room:
    """Pass who may write to the conversation, and return what they meet there.

    Raises:
        NotFound: no such conversation, or not a member.
        Blocked: one of the two of a DM has blocked the other.
    """
    key = (conversation_id, user_id)
    answer = senders([key])[key]
    if isinstance(answer, ChatError):
        raise answer
    return answer


def visible_presence(viewer_id: UserId, targets: Collection[UserId]) -> set[UserId]:
    """Return whose presence the viewer may see: each of the two lets the other, and nobody blocked anybody.

    Who shows it to nobody sees nobody's; who shows it to those known sees that of those known (docs/decisions/0086).
    """
    rules = people.presence_rules({viewer_id, *targets})
    own = rules.get(viewer_id)
    return _mutual(viewer_id, targets, rules) if own is not None and own.shares else set()


def presence_audiences(asked: Sequence[tuple[UserId, Collection[UserId]]]) -> list[set[UserId]]:
    """Return, for each (user, viewers), who of the viewers may hear of a change that the user shows at all."""
    rules = people.presence_rules({person for user, viewers in asked for person in (user, *viewers)})
    return [_mutual(user, viewers, rules) for user, viewers in asked]


def _mutual(user_id: UserId, others: Collection[UserId], rules: Mapping[UserId, people.PresenceRule]) -> set[UserId]:
    """Return those of ``others`` who show theirs and know the user, or show it to all as the user does; no blocks."""
    showing = [other for other in others if other != user_id and other in rules and rules[other].shares]
    if not showing:
        return set()
    seen = container.conversation_store().sharing(user_id, showing)
    if user_id in rules and rules[user_id].public:
        seen |= {other for other in showing if rules[other].public}
    return seen - set(people.blocked_pairs(user_id, seen)) if seen else set()
