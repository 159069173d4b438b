"""The writer of the topic ``hooks``: what happened where a bot that wants to be told is a member (decision 0082)."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from messaging.domain import events, frames, ids
from messaging.domain.ids import UserId
from messaging.ports import TOPIC_HOOKS, MessageLog, NewRecord
from messaging.services.appending import append_all

_MEMBERS: Final[dict[str, events.HookKind]] = {
    "member_added": "member.added",
    "member_removed": "member.removed",
    "member_left": "member.removed",
}


def noticed(deliveries: Iterable[events.Deliver], listening: Collection[UserId]) -> list[events.HookEvent]:
    """Return what ``listening`` bots are to be told of what a poll of the router delivers; each only what it may see.

    A bot is not told what it did itself: it would answer itself for ever.
    """
    if not listening:
        return []
    wanted = frozenset(listening)
    found = []
    for event in deliveries:
        bots = wanted.intersection(event.users)
        told = _told(event.frame, sorted(bots)) if bots else None
        if told is not None and told.bots:
            found.append(told)
    return found


def _told(frame: frames.ServerFrame, bots: list[UserId]) -> events.HookEvent | None:
    match frame:
        case frames.Msg(kind="text"):
            named = [bot for bot in bots if ids.user_ref(bot) in frame.mentions]
            return _event("message.created", frame.server_id, frame.server_id, frame.sender, bots, named=named)
        case frames.Msg(event=frames.Event() as event) if event.type in _MEMBERS:
            return _event(_MEMBERS[event.type], frame.server_id, frame.server_id, frame.sender, bots)
        case frames.EditEvent():
            return _event("message.edited", frame.server_id, frame.target, frame.sender, bots)
        case frames.RestoreEvent():
            return _event("message.edited", frame.server_id, frame.target, None, bots)
        case frames.DeleteEvent():
            return _event("message.deleted", frame.server_id, frame.target, frame.sender, bots)
        case frames.TakedownEvent():
            return _event("message.deleted", frame.server_id, frame.target, None, bots)
        case frames.ReactEvent():
            kind: events.HookKind = "reaction.added" if frame.on else "reaction.removed"
            return _event(kind, frame.server_id, frame.target, frame.sender, bots, emoji=frame.emoji)
    return None


def _event(
    kind: events.HookKind,
    at: str,
    target: str,
    sender: str | None,
    bots: list[UserId],
    *,
    emoji: str = "",
    named: Sequence[UserId] = (),
) -> events.HookEvent:
    conversation, place = ids.parse_server_id(at)
    actor = ids.MODERATORS if sender is None else ids.parse_user(sender)
    others = [bot for bot in bots if bot != actor]
    about = ids.parse_server_id(target)[1]
    return events.HookEvent(kind, conversation, place, about, actor, others, emoji, list(named))


async def append_noticed(log: MessageLog, noticed: Iterable[events.HookEvent]) -> None:
    """Append what bots are to be told, and return once it would survive a crash. Repeating it is harmless.

    Raises:
        LogUnavailable: some may be missing; append all again.
    """
    await append_all(log, map(_record, noticed))


def _record(event: events.HookEvent) -> NewRecord:
    return NewRecord(TOPIC_HOOKS, event.conversation.to_bytes(8, "big"), events.encode(event))
