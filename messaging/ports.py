"""The interfaces behind which engines are exchanged, with what they promise (design section 3).

The stores are synchronous: REST views and jobs are synchronous, and the router crosses into a
thread once per poll, not once per call. The log, the registry and the pod bus are used from the
event loop and are asynchronous. One contract suite per port (``tests/contracts``) runs on every adapter.
"""

from collections.abc import Awaitable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from messaging.domain.ids import ConversationId, DeviceId, Mark, MediaId, MessageId, UserId
from messaging.domain.messages import (
    Chain,
    Conversation,
    ConversationType,
    DedupeKey,
    Membership,
    Pin,
    Role,
    StoredChange,
    StoredMessage,
    StoredReceipt,
    Tally,
    Unread,
)
from messaging.domain.search import Has, Query, Scope

# --- log --------------------------------------------------------------------------------------

TOPIC_MESSAGES = "messages"
#: What belongs into ``messages``, of the further sub-partitions of hot conversations (docs/decisions/0036).
TOPIC_HOT = "hot"
TOPIC_RECEIPTS = "receipts"
TOPIC_PUSH = "push"
TOPIC_COMPLIANCE = "compliance"
TOPIC_SEARCH = "search"
TOPIC_LINKS = "links"
#: What bots want to be told of.
TOPIC_HOOKS = "hooks"
#: Records that nobody can read, each with the reason (``events.DeadRecord``).
TOPIC_DEAD = "dead"


@dataclass(frozen=True, slots=True)
class NewRecord:
    """One record to append. Records of one ``topic`` and ``key`` keep their order.

    ``dedup_key``: repeating it returns the first position and appends nothing, as long as the log remembers: seven days
    in a file, CHAT_DEDUPE_CACHE_S on Kafka, where Redis may forget sooner. The router drops what was appended twice.
    """

    topic: str
    key: bytes
    payload: bytes
    dedup_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record stands. ``ts_ms`` is the log's own append time (Unix ms), never the caller's."""

    partition: int
    offset: int
    ts_ms: int
    #: True where ``dedup_key`` was seen before and this is the first record's position.
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A record as read."""

    topic: str
    partition: int
    offset: int
    ts_ms: int
    key: bytes
    payload: bytes


class LogUnavailable(Exception):
    """The outcome of the append is unknown; repeat it with the same ``dedup_key``."""


class PositionUnknown(Exception):
    """The record is in the log, and the log does not say where; the message store tells once the router was there."""


class RecordTooLarge(Exception):
    """The record is over the log's limit; repeating it cannot help."""


class LogReader(Protocol):
    """One member of a consumer group on one topic; the only reader of its partitions."""

    @property
    def generation(self) -> int:
        """Return a number that changes whenever partitions were given to or taken from this reader.

        What was remembered of them is stale then: somebody else may have read on in between. Look after each poll.
        """

    async def poll(self, *, max_records: int, timeout_s: float) -> list[Record]:
        """Return the next records in order per partition; empty after ``timeout_s`` without any.

        Polling again without a commit goes on after the last poll; a new reader of the group
        starts at the last commit.
        """

    async def commit(self) -> None:
        """Make all that was polled so far count as done, durably. Call it after the effects are durable.

        Partitions that were taken away since are left out: their new reader repeats what is not committed.
        """

    async def close(self) -> None:
        """Leave the group. What was not committed will be read again."""


class MessageLog(Protocol):
    """Durable log with one order per key (design sections 1 and 2)."""

    async def start(self) -> None:
        """Open the log; idempotent. Where it does not answer, return after a few seconds and go on trying.

        Raises:
            LogUnavailable: it answers, and cannot be used as configured; the sentence says what to do.
        """

    def is_ready(self) -> bool:
        """Return whether the log was reached and found fit. Before that, appends wait a little and then fail.

        It stays so while a log that was there is away: that is for the appends to tell.
        """

    def append(self, record: NewRecord) -> Awaitable[Position]:
        """Queue one record and return an awaitable that gives its position once it would survive a crash.

        Records take their places in the order of the calls. Cancelling the awaitable does not
        withdraw the record. Must be called with an event loop running; may be called from several loops.

        Raises (from the awaitable):
            LogUnavailable: outcome unknown, or the queue (bounded) is full; retry with the same key.
            PositionUnknown: appended, at a place that is known to the router only; do not repeat it.
            RecordTooLarge: retrying cannot help.
        """

    def reader(self, topic: str, *, group: str) -> LogReader:
        """Return a reader for ``group``; it joins at its first poll."""

    async def lag(self, topic: str, *, group: str) -> int:
        """Return how many records the group has not committed."""

    async def trim(self, *, before_ms: int) -> int:
        """Delete records, committed or not, and dedupe keys older than ``before_ms`` (Unix ms); return how many."""

    async def close(self) -> None:
        """Finish what was queued, then close; idempotent."""


# --- stores -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a message or change with some dedupe key was stored first."""

    message_id: MessageId
    prev_id: MessageId | None


class Overtaken(Exception):
    """Somebody else has stored a copy of a message in the meantime."""


#: Ranges of ids, both ends included, that are not to be deleted.
Kept = Sequence[tuple[MessageId, MessageId]]


@dataclass(frozen=True, slots=True)
class Expired:
    """What of a conversation goes next: ``due`` messages with ids below ``upto``, and what their ``media`` is.

    ``held``: how many messages below ``upto`` stay because they are to be kept. ``more``: others would go after these.
    """

    upto: MessageId
    due: int
    held: int
    media: tuple[str, ...]
    more: bool


class StoreUnavailable(Exception):
    """The store does not answer, or not in time; what was to be written may be written or not. Repeat it.

    Relational stores raise Django's OperationalError or InterfaceError, which callers treat alike.
    """


class MessageStore(Protocol):
    """Messages and changes of them by conversation, in id order (design section 4; docs/decisions/0024).

    Synchronous; every write is idempotent. Raises StoreUnavailable from any method.
    """

    def find_placed(self, keys: Sequence[DedupeKey]) -> dict[DedupeKey, Placed]:
        """Return, of the keys seen within the dedupe window, where each was stored."""

    def upsert(
        self,
        messages: Sequence[StoredMessage],
        *,
        changes: Sequence[StoredChange] = (),
        placed: Mapping[DedupeKey, Placed] | None = None,
    ) -> None:
        """Store messages, changes and their dedupe rows, and fold the changes into their targets.

        Moves each conversation's ``last_message_id`` and ``chains`` forward, after all else. Durable on return.
        Writing one twice changes nothing, and in whatever order changes come the newest stands: of edits, of
        deletions, of decisions of moderators, of one user's reactions with one emoji to one message, and of pins of
        one message.

        ``prev_id``, where there is one, was stored before, or is of one of these; a row without one is the first of
        its chain. ``placed`` is what ``find_placed`` said of all their keys; without it the store looks itself.

        Raises:
            Overtaken: another reader has stored a copy since ``placed`` was asked for, and nothing was written; ask
                again. A store without transactions may not notice.
        """

    def get(
        self, refs: Sequence[tuple[ConversationId, MessageId]]
    ) -> dict[tuple[ConversationId, MessageId], StoredMessage]:
        """Return those that exist."""

    def newest(
        self,
        conversation_id: ConversationId,
        *,
        after: MessageId = MessageId(0),
        before: MessageId | None = None,
        upto: MessageId | None = None,
        limit: int,
    ) -> list[StoredMessage]:
        """Return the newest ``limit`` messages with ``after < id < before`` and ``id <= upto``, newest first."""

    def oldest_after(
        self, conversation_id: ConversationId, *, after: MessageId, upto: MessageId | None = None, limit: int
    ) -> list[StoredMessage]:
        """Return the oldest ``limit`` messages with ``after < id <= upto``, oldest first."""

    def newest_changes(
        self,
        conversation_id: ConversationId,
        *,
        after: MessageId = MessageId(0),
        upto: MessageId | None = None,
        limit: int,
    ) -> list[StoredChange]:
        """Return the newest ``limit`` changes with ``after < id <= upto``, newest first."""

    def reactions(
        self, refs: Sequence[tuple[ConversationId, MessageId]], *, viewer: UserId
    ) -> dict[tuple[ConversationId, MessageId], list[Tally]]:
        """Return the reactions to those messages that have any; the emoji that came first, first."""

    def pins(self, conversation_id: ConversationId) -> list[Pin]:
        """Return what is pinned in a conversation, the newest pin first (docs/decisions/0062).

        Not what is gone, deleted or withheld by now, or was withheld since it was pinned.
        """

    def count_unread(
        self, user_id: UserId, since: Mapping[ConversationId, MessageId], *, cap: int
    ) -> dict[ConversationId, Unread]:
        """Return, per conversation, how many text messages of others are newer than the mark; at most ``cap``.

        And whether one of those counted mentions the user now, by name or with everybody.
        """

    def save_receipts(self, receipts: Sequence[StoredReceipt]) -> None:
        """Upsert delivery receipts; the first time of a device stands."""

    def expired(self, conversation_id: ConversationId, *, before: MessageId, keep: Kept, limit: int) -> Expired:
        """Return which messages with ids below ``before`` go next, the oldest first, at most ``limit``.

        Nothing is changed. Without ``more``, ``upto`` is ``before``.
        """

    def delete_before(self, conversation_id: ConversationId, *, before: MessageId, keep: Kept) -> None:
        """Delete for good, from every table, what has an id below ``before`` and is not in ``keep``.

        With a message go its reactions, its pin, its receipts, and the texts of its edits, also of those that are not
        below ``before``: these stay as places in the chain, empty. A change whose message is kept stays, too. What
        an earlier call left undone is done. Call it with the ``upto`` of ``expired``, so that it is bounded.
        """

    def blank(self, conversation_id: ConversationId, message_ids: Sequence[MessageId]) -> None:
        """Take out of these messages for good what they say: texts, also of their edits, mentions and media.

        The rows stay as places in the chain, deletions and reactions as they are. Those that are absent stay so.
        """


@dataclass(frozen=True, slots=True)
class NewConversation:
    """A conversation to create. ``members`` includes the creator; a DM has exactly two."""

    id: ConversationId
    type: ConversationType
    created_by: UserId
    members: tuple[UserId, ...]
    name: str = ""
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """A user's place in a conversation, also an ended one, and where the conversation stands (``Conversation``)."""

    membership: Membership
    chains: Mapping[int, Chain]
    expired_id: MessageId

    @property
    def floor(self) -> MessageId:
        """The newest id that the user may not see."""
        return self.membership.floor(self.expired_id)


@dataclass(frozen=True, slots=True)
class InboxRow:
    """One line of a user's conversation list."""

    conversation: Conversation
    membership: Membership

    @property
    def floor(self) -> MessageId:
        """The newest id that the user may not see."""
        return self.membership.floor(self.conversation.expired_id)


#: A quarter of a year.
KEPT_MARKS_S = 90 * 86_400


class ConversationStore(Protocol):
    """Conversations and both directions of membership (design section 4). Synchronous.

    Raises StoreUnavailable from any method.
    """

    def create(self, new: NewConversation) -> tuple[Conversation, bool]:
        """Create it and return ``(conversation, True)``; for a DM whose pair has one, ``(that one, False)``.

        Also under a race: a pair has one DM.
        """

    def get(self, ids: Iterable[ConversationId]) -> dict[ConversationId, Conversation]:
        """Return those that exist, with ``members`` inline up to ``max_group_small``."""

    def membership(self, user_id: UserId, conversation_id: ConversationId) -> Membership | None:
        """Return the user's membership, also an ended one."""

    def memberships(
        self, user_id: UserId, conversation_ids: Sequence[ConversationId]
    ) -> dict[ConversationId, Standing]:
        """Return the user's memberships in these, also ended ones."""

    def ends(self, conversation_ids: Collection[ConversationId]) -> dict[ConversationId, Mark]:
        """Return of those that exist where each chain ends: its newest message or change."""

    def places(self, user_id: UserId, *, after: ConversationId, limit: int) -> list[Membership]:
        """Return a page of the user's memberships, also ended ones, by conversation, of ids above ``after``."""

    def members(self, conversation_id: ConversationId, *, after: UserId = UserId(0), limit: int) -> list[Membership]:
        """Return a page of the active members in user-id order, beginning after ``after``."""

    def rosters(self, conversation_ids: Sequence[ConversationId]) -> dict[ConversationId, list[Membership]]:
        """Return all active members, in user-id order, of those conversations whose members are inline."""

    def sharing(self, user_id: UserId, others: Sequence[UserId]) -> set[UserId]:
        """Return those of ``others`` who are active members of a conversation of which ``user_id`` is one, too."""

    def active_since(
        self, user_id: UserId, after: MessageId, *, besides: Collection[ConversationId] = (), limit: int
    ) -> list[ConversationId]:
        """Return the user's active conversations whose ``last_message_id`` is above ``after``, newest first.

        Those of ``besides`` are left out.
        """

    def inbox(
        self, user_id: UserId, *, before: tuple[int, int] | None = None, limit: int, pinned: bool = False
    ) -> list[InboxRow]:
        """Return the user's active conversations, newest activity first; with ``pinned`` only those the user pinned.

        The sort key is ``(last_message_id or first_id_at(created_at), conversation_id)``, descending; ``before`` is
        the key of the last row of the page before.
        """

    def add_members(
        self, conversation_id: ConversationId, users: Sequence[UserId], *, role: Role, limit: int, at: MessageId
    ) -> list[UserId]:
        """Make users members who see the record at ``at`` and what comes after; return those who were not before.

        Idempotent: members stay as they are, and so does who left after ``at``. Past 100 members the type becomes
        ``group_large``. Raises TooManyMembers, changing nothing, past ``limit``.
        """

    def end_membership(self, user_id: UserId, conversation_id: ConversationId, *, at: MessageId) -> bool:
        """Set ``left_id``; return whether the user was a member.

        Idempotent, and never ends a membership that began after ``at``.
        """

    def set_role(self, user_id: UserId, conversation_id: ConversationId, role: Role) -> None:
        """Change an active member's role."""

    def rename(self, conversation_id: ConversationId, name: str) -> None:
        """Change the name."""

    def set_picture(self, conversation_id: ConversationId, picture: MediaId | None) -> None:
        """Change the picture; None for none."""

    def set_hot(self, conversation_id: ConversationId, k: int) -> bool:
        """Set ``hot_k``; return whether there is such a conversation."""

    def spread(self) -> dict[ConversationId, int]:
        """Return ``hot_k`` of those conversations of which it is over 1: as many as operators and rates have marked."""

    def mark_read(self, marks: Sequence[tuple[UserId, ConversationId, MessageId]]) -> None:
        """Move ``last_read_id`` forward (never back)."""

    def keep_marks(self, user_id: UserId, device_id: DeviceId, marks: Mapping[ConversationId, Mark]) -> None:
        """Remember how far a device has each conversation; forward only. After ``KEPT_MARKS_S`` it may be forgotten."""

    def kept_marks(self, user_id: UserId, device_id: DeviceId, *, limit: int) -> dict[ConversationId, Mark]:
        """Return what was remembered of a user's device: the newest ``limit`` marks."""

    def set_muted(self, user_id: UserId, conversation_id: ConversationId, until: datetime | None) -> None:
        """Mute until a moment, or not at all."""

    def shelve(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        archived_id: MessageId | None = None,
        pinned: bool | None = None,
        unread_id: MessageId | None = None,
    ) -> None:
        """Change these of a member's ``shelf``, the others stay. Whoever leaves and comes back begins with none."""

    def set_timer(self, conversation_id: ConversationId, timer_s: int | None) -> None:
        """Set after how many seconds messages are to expire; None for never."""

    def expire(self, conversation_id: ConversationId, upto: MessageId) -> None:
        """Move ``expired_id`` forward (never back)."""

    def scan(self, *, after: int | None = None, limit: int) -> list[tuple[int, Conversation]]:
        """Return a page of all conversations, each with its position, in the order of these; ``after`` is one.

        A conversation keeps its position; one that was created meanwhile may come or not. Members are left out.
        """


class Copy(Protocol):
    """Something beside the message store that holds what messages said or had with them: pushes, media, an index.

    Retention asks each before it deletes from the store, which then still knows what it was. Synchronous.
    """

    def forget(self, conversation_id: ConversationId, *, before: MessageId, keep: Kept, media: Sequence[str]) -> None:
        """Delete what is of messages with ids below ``before`` that are not in ``keep``; ``media`` are theirs.

        Idempotent: it is asked again with the next sweep, with the ``media`` of what is left then.
        Raises StoreUnavailable, DatabaseError or OSError; the messages stay then, and are asked for again.
        """


# --- media ------------------------------------------------------------------------------------

#: How long an address that a media store gave away may be used.
MEDIA_LINK_TTL_S = 300


class MediaUnavailable(StoreUnavailable):
    """The store of media does not answer, or is full. Repeat it."""


class MediaMissing(Exception):
    """There is no such object or upload."""


class MediaStore(Protocol):
    """Bytes of media by key: written once, read in ranges, deleted (docs/decisions/0052). Synchronous.

    A large object comes in parts, in any order and several at once. Keys are ours, never a user's: lower-case letters,
    digits, dashes and slashes. Raises MediaUnavailable from any method.
    """

    @property
    def part_bytes(self) -> int:
        """Return the size of every part of an upload but its last one."""

    def begin(self, key: str) -> str:
        """Begin an upload to ``key`` and return its name, by which the other methods know it."""

    def part_url(self, key: str, upload: str, number: int, *, size: int) -> str | None:
        """Return an address that takes part ``number`` (from 1) of ``size`` bytes by PUT, for MEDIA_LINK_TTL_S.

        None: parts go through ``put_part``.
        """

    def put_part(self, key: str, upload: str, number: int, data: bytes) -> None:
        """Store a part durably; of two with one number the later stands. Raises MediaMissing: no such upload."""

    def parts(self, key: str, upload: str) -> dict[int, int]:
        """Return the size of each part that is there, by number. Raises MediaMissing: no such upload."""

    def finish(self, key: str, upload: str) -> None:
        """Make the parts, by number, the object at ``key``. Durable on return; repeating it changes nothing.

        Raises MediaMissing: neither such an upload nor the object.
        """

    def abort(self, key: str, upload: str) -> None:
        """Delete an upload with its parts; one that is unknown or finished is no error."""

    def put(self, key: str, data: bytes) -> None:
        """Store a whole object durably, in place of one that is there."""

    def size(self, key: str) -> int:
        """Return an object's size in bytes. Raises MediaMissing."""

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to before ``end`` in small pieces. Raises MediaMissing, at the call."""

    def url(self, key: str, *, content_type: str, disposition: str) -> str | None:
        """Return an address that gives the object with these headers for MEDIA_LINK_TTL_S. None: use ``read``."""

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; absent ones are no error."""


# --- search -----------------------------------------------------------------------------------

#: A message, wherever it is.
MessageRef = tuple[ConversationId, MessageId]

#: How long an index looks for an answer, in seconds.
SEARCH_TIMEOUT_S = 3.0


class SearchUnavailable(StoreUnavailable):
    """The index does not answer, or found no answer within SEARCH_TIMEOUT_S. Repeat it, or ask for less."""


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """What an index holds of a message: its words in their order (``domain.words``), never its text."""

    conversation_id: ConversationId
    message_id: MessageId
    sender_id: UserId
    words: tuple[str, ...]
    has: frozenset[Has] = frozenset()


class SearchIndex(Protocol):
    """Which messages have which words (docs/decisions/0059). Synchronous; every write is idempotent.

    It is behind the store and may be wrong about a message: whoever shows what it finds asks the store. Raises
    SearchUnavailable or Django's OperationalError or InterfaceError from any method.
    """

    def put(self, entries: Sequence[SearchEntry]) -> None:
        """Store entries, each in place of the one that is there. Durable on return, and found from then on."""

    def remove(self, refs: Sequence[MessageRef]) -> None:
        """Delete the entries of messages; absent ones are no error."""

    def forget(self, conversation_id: ConversationId, *, before: MessageId | None = None) -> None:
        """Delete the entries of a conversation whose ids are below ``before``; without it, all of them."""

    def find(
        self, scopes: Sequence[Scope], query: Query, *, before: MessageRef | None = None, limit: int
    ) -> list[MessageRef]:
        """Return the newest ``limit`` messages within the scopes that meet the query, newest first.

        Newest is the highest message id, and of several with the same one the highest conversation id; ``before`` is
        the last one of the page before. A query without terms finds whatever meets the rest of it.
        """


# --- what may be said -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Draft:
    """A text on its way into the log. ``client_msg_id``: of the message or the edit; a resend has the same."""

    sender: UserId
    client_msg_id: bytes
    body: str


class MessageScreener(Protocol):
    """The moderators' rules for texts, and limits on people (docs/decisions/0051, 0057).

    Synchronous; called from several threads.
    """

    def due(self) -> bool:
        """Return whether it is time to ``refresh``; only the first who asks is told so. Touches memory only."""

    def refresh(self) -> None:
        """Take up rules and limits that were changed."""

    def idle(self, sender: UserId) -> bool:
        """Return whether nothing concerns what the sender writes, and ``screen`` need not be asked. Memory only."""

    def may_begin(self, user: UserId) -> None:
        """Count a conversation that a user is about to begin. Raises RateLimited: moderators limit how many."""

    def screen(self, draft: Draft) -> tuple[int, ...]:
        """Return the rules that want moderators to look at a text; it counts where its sender is limited.

        Raises:
            NotAccepted: a rule refuses it. RateLimited: its sender has sent as much as moderators let them.
        """

    def flag(
        self, *, rules: tuple[int, ...], draft: Draft, conversation_id: ConversationId, message_id: MessageId
    ) -> None:
        """Bring a message that is in the log to the moderators. Idempotent."""


# --- connections ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConnectionRef:
    """One live connection: which pod it is on, its id there, and when it was last heard (Unix s)."""

    pod: str
    conn: str
    last_seen: float


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where somebody is connected, and when (Unix s) pods unregistered a connection in the last ``ENTRY_TTL_S``."""

    refs: list[ConnectionRef]
    left: dict[str, float]


class ConnectionRegistry(Protocol):
    """Who is connected where. Not durable: it is rebuilt from the connections (design sections 3 and 6).

    Raises RegistryUnavailable from any method; callers fall back to what they cached or treat users as offline.
    """

    async def register(self, pod: str, entries: Sequence[tuple[UserId, str]]) -> None:
        """Add (user, connection) pairs of a pod; repeating it refreshes ``last_seen``.

        What is not repeated for ``ENTRY_TTL_S`` may be forgotten: so goes what nobody was able to unregister.
        """

    async def unregister(self, pod: str, entries: Sequence[tuple[UserId, str]]) -> None:
        """Remove them; unknown ones are no error. ``whereabouts`` remembers it."""

    async def lookup(self, users: Sequence[UserId]) -> dict[UserId, list[ConnectionRef]]:
        """Return the live connections of those users who have any; one round trip for all."""

    async def whereabouts(self, users: Sequence[UserId]) -> dict[UserId, Whereabouts]:
        """Return of those users of whom there is anything where they are, and were lately; one round trip for all."""

    async def heartbeat(self, pod: str) -> None:
        """Keep the pod's entries alive; without one for ``POD_TTL_S`` (30 s) they count no more."""

    async def watch(self, pod: str, users: Sequence[UserId]) -> None:
        """Note that someone on ``pod`` watches the presence of ``users``.

        What is not repeated for ``WATCH_TTL_S`` may be forgotten.
        """

    async def unwatch(self, pod: str, users: Sequence[UserId]) -> None:
        """Undo ``watch``."""

    async def watchers(self, users: Sequence[UserId]) -> dict[UserId, list[str]]:
        """Return, per user, the live pods that watch."""


POD_TTL_S = 30
ENTRY_TTL_S = 60
WATCH_TTL_S = 180


class RegistryUnavailable(Exception):
    """The registry does not answer."""


class BatchesLost(Exception):
    """The bus does not answer, or had to drop something: whoever waits for what was in there has to ask for it."""


class PodBus(Protocol):
    """Batches from any process to one pod; at most once, in order per sender (design section 1, steps 2 and 3)."""

    async def send(self, pod: str, payload: bytes) -> bool:
        """Hand one batch (``events.PodBatch``, encoded) over; False where it was dropped.

        It is for want of room, or while the bus does not answer. Never raises, and waits for a second at most.
        """

    async def receive(self, pod: str) -> bytes:
        """Return the next batch for ``pod``; waits without limit, and may be cancelled.

        Raises:
            BatchesLost: once for each time, after 2 s at most; call it again. Where the sender had to drop a batch, it
                comes before that sender's next one.
        """


class Clock(Protocol):
    """Time, injected so that tests own it."""

    def time(self) -> float:
        """Return Unix time in seconds."""

    def monotonic(self) -> float:
        """Return a monotonic time in seconds."""


class RateLimiter(Protocol):
    """Token buckets by name, shared by all processes that send to one provider (design section 8)."""

    async def take(self, name: str, wanted: int, *, rate_per_s: float, burst: int) -> tuple[int, float]:
        """Take up to ``wanted`` tokens; return how many there were, and the seconds until the next (0.0 for all).

        A bucket holds ``burst`` and fills with ``rate_per_s``. Never raises: an engine that is out leaves each process
        to its own buckets.
        """
