"""What may be done to a message after it was sent, and by whom (docs/decisions/0024).

Asked twice: before the change goes into the log, so that who may not is told at once, and by the router at the
change's place in the log, which is the truth.
"""

from collections.abc import Collection

from messaging.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from messaging.domain.ids import MessageId, UserId
from messaging.domain.limits import Limits
from messaging.domain.messages import MessageChangeKind, StoredMessage


def check_change(
    kind: MessageChangeKind,
    target: StoredMessage,
    *,
    actor: UserId,
    joined_id: MessageId,
    moderator: bool,
    direct: bool,
    body: str,
    age_ms: int,
    before: MessageId | None,
    limits: Limits,
) -> None:
    """Pass a change that a member may make.

    ``joined_id``: where the actor's membership begins; ``moderator``: whether the actor may delete what others wrote;
    ``direct``: whether it is a direct conversation, in which both may pin; ``age_ms``: how old the target is;
    ``before``: the change's own id, where it has one: a deletion at that place or after it is none yet.

    Raises:
        NotFound: the actor cannot see the target. InvalidInput: it tells of an event, or would be empty.
        Forbidden: it is another's, or too old to be edited, or not the actor's to pin.
        Conflict: it is deleted, or withheld; what is withheld may still be deleted.
    """
    if target.message_id <= joined_id:
        raise NotFound("no such message")
    if target.kind != "text":
        raise InvalidInput("this tells of an event; nobody wrote it")
    own = target.sender_id == actor
    if kind is MessageChangeKind.EDIT and not own:
        raise Forbidden("only who wrote a message may edit it")
    if kind is MessageChangeKind.DELETE and not (own or moderator):
        raise Forbidden("only who wrote a message, or an admin of the group, may delete it")
    if kind is MessageChangeKind.PIN and not (direct or moderator):
        raise Forbidden("only the owner and admins of a group pin messages")
    if target.delete_id is not None and _before(target.delete_id, before):
        raise Conflict("the message is deleted")
    if target.withheld and kind is not MessageChangeKind.DELETE and _before(target.takedown_id, before):
        raise Conflict("the message is withheld by moderators")
    if kind is MessageChangeKind.EDIT:
        if not body.strip() and not target.media:
            raise InvalidInput("a message needs a body or media; delete it instead")
        if limits.edit_window_s and age_ms > limits.edit_window_s * 1000:
            raise Forbidden(f"a message can be edited for {limits.edit_window_s} s")


def _before(change_id: MessageId | None, place: MessageId | None) -> bool:
    return place is None or change_id is None or change_id < place


def check_pin(target: MessageId, *, pinned: Collection[MessageId], limits: Limits) -> None:
    """Pass one more pin. ``pinned``: what is pinned in the conversation.

    Raises:
        Conflict: there are too many already.
    """
    if target not in pinned and len(pinned) >= limits.max_pins:
        raise Conflict(f"{limits.max_pins} messages are pinned here; that is the limit")


def check_reaction(emoji: str, *, mine: Collection[str], all_emoji: Collection[str], limits: Limits) -> None:
    """Pass one more reaction. ``mine``: the emoji that the user has put to the message; ``all_emoji``: that anyone has.

    Raises:
        Conflict: there are too many already.
    """
    if emoji in mine:
        return
    if len(mine) >= limits.max_reactions_per_user:
        raise Conflict(f"you have put {limits.max_reactions_per_user} reactions to this message; that is the limit")
    if emoji not in all_emoji and len(all_emoji) >= limits.max_reactions:
        raise Conflict(f"this message has {limits.max_reactions} different reactions; that is the limit")
