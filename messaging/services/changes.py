"""Edit, delete, react and pin: a change of a message takes the same way as a message (docs/decisions/0024, 0062)."""

import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid4, uuid5

import msgspec
from asgiref.sync import async_to_sync

from chatproject import container
from messaging import tracing
from messaging.domain import events, ids
from messaging.domain.changes import check_change, check_pin, check_reaction
from messaging.domain.emoji import is_emoji
from messaging.domain.errors import ChatError, Conflict, Forbidden, InvalidInput, NotFound
from messaging.domain.events import MessageChanged
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.limits import Limits
from messaging.domain.mentions import EVERYBODY, may_mention_everybody, parse_mentions
from messaging.domain.messages import ConversationType, DedupeKey, MemberChangeKind, MessageChangeKind
from messaging.selectors.access import Access, may_send, require_member
from messaging.selectors.messages import Sight, find_message
from messaging.services import screening
from messaging.services.send import Outgoing, Sent, append_change, check_body, parse_client_msg_id

#: Deletions over REST without an id of their own: the same message has the same one.
_DELETIONS: Final = UUID("6f5d2ce9-2c1c-4d3f-8f0e-53a3b54c0a0b")


_IN_THE_LOG: Final[dict[MemberChangeKind, events.MessageChangeKind]] = {
    MessageChangeKind.EDIT: "edit",
    MessageChangeKind.DELETE: "delete",
    MessageChangeKind.REACT: "react",
    MessageChangeKind.PIN: "pin",
}


def validate_change(
    kind: MemberChangeKind,
    *,
    actor: UserId,
    target: MessageId,
    msg_id: str,
    body: str = "",
    emoji: str = "",
    on: bool = False,
    mentions: Sequence[str] = (),
    limits: Limits,
) -> MessageChanged:
    """Return what may be appended, if the actor may do it.

    Raises:
        InvalidInput: bad ``msg_id``, body or mention, or not one emoji.
        TooLarge: the body is over ``max_body_bytes`` of UTF-8, or there are too many mentions.
    """
    client_msg_id = parse_client_msg_id(msg_id)
    check_body(body, limits)
    if kind is MessageChangeKind.REACT and not is_emoji(emoji):
        raise InvalidInput("a reaction is one emoji")
    return MessageChanged(
        actor, client_msg_id, target, _IN_THE_LOG[kind], body, emoji, on, parse_mentions(mentions, limits=limits)
    )


def authorise_change(
    conversation_id: ConversationId, change: MessageChanged, *, limits: Limits, may_write: bool = False
) -> bool:
    """Pass who may make a change now; return whether it would change anything. The router asks again, at its place.

    A target that was acked and is not stored yet is left to the router. A change that was made already passes whatever
    has come since: it is a resend, and gets the first one's ack. ``may_write``: the caller knows that the actor may.

    Raises:
        NotFound, Forbidden, Conflict, InvalidInput: see ``check_change``, ``check_reaction`` and ``check_pin``.
        Blocked: one of a DM's two blocked the other; deleting what one wrote is allowed all the same.
    """
    kind = MessageChangeKind(change.kind)
    if kind is not MessageChangeKind.DELETE and not may_write:
        may_send(change.actor, conversation_id)
    sight = find_message(change.actor, conversation_id, change.target)
    try:
        return _check(conversation_id, change, sight, limits)
    except ChatError:
        if _is_made(DedupeKey(conversation_id, change.actor, change.client_msg_id)):
            return True
        raise


def _is_made(key: DedupeKey) -> bool:
    return key in container.message_store().find_placed([key])


def _check(conversation_id: ConversationId, change: MessageChanged, sight: Sight, limits: Limits) -> bool:
    target, place = sight.message, sight.access.membership
    if target is None:
        return True
    kind = MessageChangeKind(change.kind)
    group = sight.access.conversation.type is not ConversationType.DM
    check_change(
        kind,
        target,
        actor=change.actor,
        joined_id=place.joined_id,
        moderator=group and place.role.moderates,
        direct=not group,
        body=change.body,
        age_ms=int(time.time() * 1000) - ids.timestamp_ms(change.target),
        before=None,
        limits=limits,
    )
    if kind is MessageChangeKind.EDIT:
        _check_mentions(change.mentions, sight.access)
        return change.body != target.text
    if kind is MessageChangeKind.DELETE:
        return True
    if kind is MessageChangeKind.PIN:
        pinned = {pin.message_id for pin in container.message_store().pins(conversation_id)}
        if change.on:
            check_pin(change.target, pinned=pinned, limits=limits)
        return (change.target in pinned) is not change.on
    ref = (conversation_id, change.target)
    tallies = container.message_store().reactions([ref], viewer=change.actor).get(ref, [])
    mine = {tally.emoji for tally in tallies if tally.mine}
    if change.on:
        check_reaction(change.emoji, mine=mine, all_emoji={tally.emoji for tally in tallies}, limits=limits)
    return (change.emoji in mine) is not change.on


# --- without a socket -----------------------------------------------------------------------------


def edit_message(
    *,
    actor: UserId,
    conversation_id: ConversationId,
    message_id: MessageId,
    msg_id: str,
    body: str,
    mentions: Sequence[str] = (),
) -> Sent:
    """Return where the edit stands in the log, once it is durable. Idempotent by ``msg_id``.

    Raises:
        ChatError: as ``validate_change`` and ``authorise_change``; Unavailable: repeat with the same ``msg_id``.
        NotAccepted: a rule of the moderators refuses the text.
    """
    limits = container.limits()
    change = validate_change(
        MessageChangeKind.EDIT,
        actor=actor,
        target=message_id,
        msg_id=msg_id,
        body=body,
        mentions=mentions,
        limits=limits,
    )
    authorise_change(conversation_id, change, limits=limits)
    judged = screening.screened(sender=actor, client_msg_id=change.client_msg_id, body=body)
    sent = _append(conversation_id, change)
    screening.flag(judged, conversation_id, message_id)
    return sent


def delete_message(
    *, actor: UserId, conversation_id: ConversationId, message_id: MessageId, msg_id: str | None = None
) -> None:
    """Delete a message for everyone; one that is deleted stays so.

    Raises:
        ChatError: as ``authorise_change``; Unavailable: repeat it.
    """
    limits = container.limits()
    msg_id = msg_id or str(uuid5(_DELETIONS, ids.server_id(conversation_id, message_id)))
    change = validate_change(MessageChangeKind.DELETE, actor=actor, target=message_id, msg_id=msg_id, limits=limits)
    try:
        authorise_change(conversation_id, change, limits=limits)
    except Conflict:
        return
    _append(conversation_id, change)


def set_reaction(
    *,
    actor: UserId,
    conversation_id: ConversationId,
    message_id: MessageId,
    emoji: str,
    on: bool,
    msg_id: str | None = None,
) -> None:
    """Put an emoji to a message, or take it back; what is so already stays so, and costs no record.

    Raises:
        ChatError: as ``validate_change`` and ``authorise_change``; Unavailable: repeat it.
    """
    limits = container.limits()
    change = validate_change(
        MessageChangeKind.REACT,
        actor=actor,
        target=message_id,
        msg_id=msg_id or str(uuid4()),
        emoji=emoji,
        on=on,
        limits=limits,
    )
    if authorise_change(conversation_id, change, limits=limits):
        _append(conversation_id, change)


def set_pinned(
    *, actor: UserId, conversation_id: ConversationId, message_id: MessageId, on: bool, msg_id: str | None = None
) -> None:
    """Pin a message for everybody in the conversation, or take it down; what is so already stays so.

    Raises:
        ChatError: as ``validate_change`` and ``authorise_change``; Unavailable: repeat it.
    """
    limits = container.limits()
    change = validate_change(
        MessageChangeKind.PIN, actor=actor, target=message_id, msg_id=msg_id or str(uuid4()), on=on, limits=limits
    )
    if authorise_change(conversation_id, change, limits=limits):
        _append(conversation_id, change)


def _append(conversation_id: ConversationId, change: MessageChanged) -> Sent:
    span = tracing.begin("rest.change")
    try:
        if span is not None:
            change = msgspec.structs.replace(change, trace=tracing.carried(span))
        return async_to_sync(append_change)(log=container.message_log(), conversation=conversation_id, change=change)
    finally:
        if span is not None:
            span.end()


def may_mention(message: Outgoing) -> None:
    """Pass a message whose sender may mention all of the members, where it does, or that was sent already.

    Who else is mentioned is looked at by the router, at the message's place in the log: who is no member is left out.

    Raises:
        NotFound: the sender is no member. InvalidInput: a direct conversation.
        Forbidden: neither owner nor admin of a large group.
    """
    if EVERYBODY not in message.mentions:
        return
    try:
        _check_mentions(message.mentions, require_member(message.sender, message.conversation))
    except ChatError:
        if not _is_made(DedupeKey(message.conversation, message.sender, message.client_msg_id)):
            raise


def _check_mentions(mentions: Sequence[UserId], access: Access) -> None:
    kind = access.conversation.type
    if EVERYBODY not in mentions or may_mention_everybody(kind, access.membership.role):
        return
    if kind is ConversationType.DM:
        raise InvalidInput("only a group has all to mention")
    raise Forbidden("in a large group only its owner and admins may mention all")


def may_forward(message: Outgoing, server_id: str) -> None:
    """Pass a message whose sender can read what it forwards, or that was sent already.

    Raises:
        InvalidInput: not a ``server_id``, or not somebody's text. NotFound: not the sender's to read.
        Conflict: it is deleted, or withheld by moderators.
    """
    try:
        _check_origin(message.sender, server_id)
    except ChatError:
        if not _is_made(DedupeKey(message.conversation, message.sender, message.client_msg_id)):
            raise


def _check_origin(actor: UserId, server_id: str) -> None:
    try:
        conversation_id, message_id = ids.parse_server_id(server_id)
    except ids.InvalidId:
        raise InvalidInput("forwarded_from is not a server_id") from None
    try:
        message = find_message(actor, conversation_id, message_id).message
    except NotFound:
        # Not that of the conversation that it goes to.
        raise NotFound("no such message to forward") from None
    if message is not None and message.kind != "text":
        raise InvalidInput("this tells of an event; nobody wrote it")
    if message is not None and not message.readable:
        raise Conflict("the message is withheld by moderators" if message.withheld else "the message is deleted")
