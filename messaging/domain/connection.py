"""One connection as a pure state machine: a frame or a tick in, effects out (design section 6).

No await, no socket, no clock: the caller passes ``now`` (monotonic seconds) and performs the
effects in their order. What needs the database (is this user a member?) is an effect, too; the
gateway answers it and goes on.
"""

from dataclasses import dataclass
from enum import Enum, auto
from math import ceil
from typing import Final

from messaging.domain import frames, ids
from messaging.domain.buckets import Spacing, TokenBucket
from messaging.domain.errors import ChatError, CloseCode, InvalidInput, RateLimited, TooLarge, Unauthenticated
from messaging.domain.ids import ConversationId, DeviceId, Mark, MessageId, UserId
from messaging.domain.limits import Limits

#: Conversations in which one user may be typing at once.
_MAX_TYPING: Final = 16


class State(Enum):
    """Where a connection is in its life."""

    #: Open, and nobody yet.
    ANONYMOUS = auto()
    #: Credentials were presented; how long the check takes is the server's affair.
    AUTHENTICATING = auto()
    OPEN = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class Reply:
    """Write this frame to the connection."""

    frame: frames.ServerFrame


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Find out whose token this is; then call ``authenticated`` or close with 4401."""

    token: str


@dataclass(frozen=True, slots=True)
class Append:
    """Authorise, append to the log, and ack when it is durable."""

    frame: frames.Send
    conversation: ConversationId


@dataclass(frozen=True, slots=True)
class Alter:
    """Authorise a change of ``target``, append it to the log, and ack when it is durable."""

    frame: frames.Edit | frames.Delete | frames.React | frames.Pin
    conversation: ConversationId
    target: MessageId


@dataclass(frozen=True, slots=True)
class SaveReceipt:
    """Authorise and pass the receipt on."""

    read: bool
    conversation: ConversationId
    message: MessageId


@dataclass(frozen=True, slots=True)
class ShowTyping:
    """Authorise and tell the other members."""

    conversation: ConversationId


@dataclass(frozen=True, slots=True)
class Replay:
    """Send what came after the marks, then ``synced``.

    ``keep``: remember them for this device. ``resume``: a device whose remembered marks stand in for those not named,
    if it is the user's.
    """

    marks: dict[ConversationId, Mark]
    keep: bool = False
    resume: DeviceId | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """Replace the presence subscription and report the present states."""

    users: frozenset[UserId]


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket."""

    code: int
    reason: str


Effect = Reply | Authenticate | Append | Alter | SaveReceipt | ShowTyping | Replay | Watch | Close


class Allowance:
    """What one user may do on one pod, however many connections the user has there. Time in monotonic seconds."""

    __slots__ = ("sends", "typing")

    def __init__(self, *, limits: Limits, now: float, is_bot: bool = False) -> None:
        rate_per_s = limits.bot_send_rate_per_s if is_bot else limits.send_rate_per_s
        burst = limits.bot_send_burst if is_bot else limits.send_burst
        self.sends = TokenBucket(rate_per_s=rate_per_s, burst=burst, now=now)
        self.typing: Spacing[ConversationId] = Spacing(interval_s=limits.typing_interval_s, keys=_MAX_TYPING)


class Connection:
    """The protocol's side of one socket. Time in monotonic seconds."""

    __slots__ = ("_allowance", "_limits", "_opened", "_syncs", "_watches", "device", "last_heard", "state", "user")

    def __init__(self, *, limits: Limits, now: float) -> None:
        self._limits = limits
        self._opened = now
        self._allowance: Allowance | None = None
        #: Made at the first such frame.
        self._syncs: TokenBucket | None = None
        self._watches: TokenBucket | None = None
        self.state = State.ANONYMOUS
        self.last_heard = now
        self.user = UserId(0)
        self.device = DeviceId(0)

    def presented(self) -> None:
        """Note that the client has presented credentials."""
        if self.state is State.ANONYMOUS:
            self.state = State.AUTHENTICATING

    def authenticated(self, *, user: UserId, device: DeviceId, allowance: Allowance, now: float) -> None:
        """Open the connection for ``user`` on ``device``."""
        if self.state is State.AUTHENTICATING:
            self.state, self.user, self.device, self._allowance = State.OPEN, user, device, allowance
            self.last_heard = now

    def closed(self) -> None:
        """Note that the socket is gone; nothing has an effect from here on."""
        self.state = State.CLOSED

    def deadline(self) -> float:
        """Return when ``tick`` is next due."""
        if self.state is State.ANONYMOUS:
            return self._opened + self._limits.auth_timeout_s
        return self.last_heard + self._limits.idle_timeout_s

    def tick(self, now: float) -> list[Effect]:
        """Close a socket that did not authenticate, or was not heard, in time."""
        if self.state is State.CLOSED or now < self.deadline():
            return []
        if self.state is State.ANONYMOUS:
            return [Close(CloseCode.UNAUTHENTICATED, "not authenticated in time")]
        return [Close(CloseCode.IDLE, "idle")]

    def receive(self, frame: frames.ClientFrame, now: float) -> list[Effect]:
        """Return what the frame asks for, or the error frame that answers it."""
        if self.state is State.CLOSED:
            return []
        self.last_heard = now
        try:
            return self._receive(frame, now)
        except ids.InvalidId as error:
            return [error_reply(InvalidInput(str(error)), frame)]
        except ChatError as error:
            return [error_reply(error, frame)]

    def _receive(self, frame: frames.ClientFrame, now: float) -> list[Effect]:
        if isinstance(frame, frames.Auth):
            if self.state is not State.ANONYMOUS:
                raise InvalidInput("this socket is authenticated already")
            self.presented()
            return [Authenticate(frame.token)]
        allowance = self._allowance
        if self.state is not State.OPEN or allowance is None:
            raise Unauthenticated("authenticate first")
        match frame:
            case frames.Send():
                self._take(allowance.sends, "too many messages", now)
                return [Append(frame, ids.parse_conversation(frame.conv))]
            case frames.Edit() | frames.Delete() | frames.React() | frames.Pin():
                # All go the same way as a message, and cost as much.
                self._take(allowance.sends, "too many messages", now)
                return [Alter(frame, *ids.parse_server_id(frame.server_id))]
            case frames.Delivered():
                return [SaveReceipt(False, *ids.parse_server_id(frame.server_id))]
            case frames.Read():
                return [SaveReceipt(True, *ids.parse_server_id(frame.server_id))]
            case frames.Typing():
                conversation = ids.parse_conversation(frame.conv)
                return [ShowTyping(conversation)] if allowance.typing.take(conversation, now) else []
            case frames.Sync():
                resume = None if frame.resume is None else ids.parse_device(frame.resume)
                effect = Replay(self._marks(frame.marks), frame.keep, resume)
                if self._syncs is None:
                    limits = self._limits
                    self._syncs = TokenBucket(rate_per_s=limits.sync_rate_per_s, burst=limits.sync_burst, now=now)
                self._take(self._syncs, "too many syncs", now)
                return [effect]
            case frames.Presence():
                if len(frame.users) > self._limits.max_presence_users:
                    raise TooLarge(f"{len(frame.users)} users; the limit is {self._limits.max_presence_users}")
                users = frozenset(map(ids.parse_user, frame.users))
                if self._watches is None:
                    limits = self._limits
                    rate = limits.presence_rate_per_s
                    self._watches = TokenBucket(rate_per_s=rate, burst=limits.presence_burst, now=now)
                self._take(self._watches, "too many presence subscriptions", now)
                return [Watch(users)]
            case frames.Ping():
                # The pong's time is the gateway's to fill in: this machine has no wall clock.
                return [Reply(frames.Pong(ts=0))]

    @staticmethod
    def _take(bucket: TokenBucket, detail: str, now: float) -> None:
        wait_s = bucket.take(now)
        if wait_s:
            # Rounded up: who comes back after exactly this time is let through.
            raise RateLimited(detail, retry_after=ceil(wait_s * 1000) / 1000)

    def _marks(self, marks: dict[str, str]) -> dict[ConversationId, Mark]:
        if len(marks) > self._limits.max_sync_marks:
            raise TooLarge(f"{len(marks)} marks; the limit is {self._limits.max_sync_marks}")
        parsed: dict[ConversationId, Mark] = {}
        for conversation_ref, mark in marks.items():
            conversation = ids.parse_conversation(conversation_ref)
            of, held = ids.parse_mark(mark)
            if of != conversation:
                raise InvalidInput("a mark is of another conversation")
            parsed[conversation] = held
        return parsed


def error_reply(error: ChatError, frame: frames.ClientFrame | None = None) -> Reply:
    """Return the error frame that answers ``frame``; it names the send or change it belongs to."""
    acked = frames.Send | frames.Edit | frames.Delete | frames.React | frames.Pin
    msg_id = frame.msg_id[:64] if isinstance(frame, acked) else None
    return Reply(frames.Error(error.code, error.detail, msg_id, error.retry_after))
