"""Conversations and membership in a relational database: SQLite or PostgreSQL (design section 4).

What is read for every heartbeat, every poll of the router and every send that the pod has not cached is plain SQL:
building the query and the model instances was nine tenths of its cost (docs/performance.md). The rest is Django's ORM.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from django.db import IntegrityError, connections, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from messaging.domain.errors import NotFound, TooManyMembers
from messaging.domain.ids import ConversationId, DeviceId, Mark, MediaId, MessageId, UserId
from messaging.domain.messages import Chain, Conversation, ConversationType, Membership, Role, Shelf
from messaging.models import ConversationRow, MembershipRow
from messaging.ports import InboxRow, NewConversation, Standing

T = TypeVar("T")

#: Ids in one IN list; SQLite as Django uses it takes 999 parameters.
_CHUNK: Final = 500

_CONVERSATIONS: Final = (
    "SELECT id, type, created_at, name, members_count, last_message_id, created_by, hot_k, last_id, is_spread,"
    " version, expired_id, timer_s, encrypted, picture_id FROM conversations WHERE id IN ({})"
)
_MEMBERS: Final = "SELECT conversation_id, user_id FROM membership WHERE conversation_id IN ({}) AND left_id IS NULL"
_MEMBERSHIPS: Final = (
    "SELECT m.conversation_id, m.role, m.joined_id, m.joined_at, m.left_id, m.last_read_id, m.muted_until,"
    " c.last_id, c.is_spread, c.expired_id FROM membership m JOIN conversations c ON c.id = m.conversation_id"
    " WHERE m.user_id = %s AND m.conversation_id IN ({})"
)
_ENDS: Final = "SELECT id, last_id, is_spread FROM conversations WHERE id IN ({})"
_CHAINS: Final = "SELECT conversation_id, sub, first_id, last_id FROM conversation_chains WHERE conversation_id IN ({})"
_ACTIVE_SINCE: Final = (
    "SELECT m.conversation_id FROM membership m JOIN conversations c ON c.id = m.conversation_id"
    " WHERE m.user_id = %s AND m.left_id IS NULL AND c.last_message_id > %s"
    " ORDER BY c.last_message_id DESC, m.conversation_id DESC LIMIT %s"
)
_KEEP_MARK: Final = (
    "INSERT INTO device_marks (user_id, device_id, conversation_id, sub, mark) VALUES (%s, %s, %s, %s, %s)"
    " ON CONFLICT (user_id, device_id, conversation_id, sub) DO UPDATE SET mark = excluded.mark"
    " WHERE device_marks.mark < excluded.mark"
)
_KEPT_MARKS: Final = (
    "SELECT conversation_id, sub, mark FROM device_marks WHERE user_id = %s AND device_id = %s AND conversation_id IN"
    " (SELECT conversation_id FROM device_marks WHERE user_id = %s AND device_id = %s"
    " GROUP BY conversation_id ORDER BY MAX(mark) DESC LIMIT %s)"
)


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]


def _dm_key(members: Sequence[UserId]) -> str:
    low, high = sorted(members)
    return f"{low}:{high}"


def _placeholders(items: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(items))


def _moment(value: datetime) -> datetime:
    """Return a time as it came from the driver: SQLite's does not say that it is in UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


def _membership(row: MembershipRow) -> Membership:
    return Membership(
        user_id=UserId(row.user_id),
        conversation_id=ConversationId(row.conversation_id),
        role=Role(row.role),
        joined_id=MessageId(row.joined_id),
        joined_at=row.joined_at,
        left_id=None if row.left_id is None else MessageId(row.left_id),
        last_read_id=MessageId(row.last_read_id),
        muted_until=row.muted_until,
        shelf=Shelf(MessageId(row.archived_id), row.is_pinned, MessageId(row.unread_id)),
    )


def _first_chain(last_id: int | None) -> dict[int, Chain]:
    return {} if last_id is None else {0: Chain(MessageId(0), MessageId(last_id))}


def _conversation(
    row: ConversationRow, members: frozenset[UserId] | None, chains: Mapping[int, Chain] | None = None
) -> Conversation:
    return Conversation(
        id=ConversationId(row.id),
        type=ConversationType(row.type),
        created_at=row.created_at,
        name=row.name,
        members_count=row.members_count,
        members=members,
        last_message_id=None if row.last_message_id is None else MessageId(row.last_message_id),
        created_by=None if row.created_by is None else UserId(row.created_by),
        hot_k=row.hot_k,
        chains=_first_chain(row.last_id) | dict(chains or {}),
        version=row.version,
        expired_id=MessageId(row.expired_id),
        timer_s=row.timer_s,
        encrypted=row.encrypted,
        picture=None if row.picture_id is None else MediaId(row.picture_id),
    )


class OrmConversationStore:
    """``ConversationStore`` on Django's connection ``using``. Called from threads; each has its own connection."""

    def __init__(self, *, max_inline: int, using: str = "default") -> None:
        """``max_inline``: up to how many members a conversation carries them itself."""
        self._max_inline = max_inline
        self._using = using

    def _rows(self) -> QuerySet[ConversationRow]:
        return ConversationRow.objects.using(self._using)

    def _places(self) -> QuerySet[MembershipRow]:
        return MembershipRow.objects.using(self._using)

    def _locked(self, conversation_id: ConversationId) -> ConversationRow:
        row = self._rows().select_for_update().filter(id=conversation_id).first()
        if row is None:
            raise NotFound("no such conversation")
        return row

    # --- conversations ------------------------------------------------------------------------

    def create(self, new: NewConversation) -> tuple[Conversation, bool]:
        """Create it, or return the DM that the pair has already."""
        dm_key = _dm_key(new.members) if new.type is ConversationType.DM else None
        if dm_key is not None:
            existing = self._rows().filter(dm_key=dm_key).first()
            if existing is not None:
                return self._with_members([existing])[0], False
        members = list(dict.fromkeys(new.members))
        kind = new.type
        if kind is ConversationType.GROUP_SMALL and len(members) > self._max_inline:
            kind = ConversationType.GROUP_LARGE
        now = timezone.now()
        row = ConversationRow(
            id=new.id,
            type=kind.value,
            dm_key=dm_key,
            name=new.name,
            created_by=new.created_by,
            created_at=now,
            members_count=len(members),
            encrypted=new.encrypted,
        )
        row.activity_id = _conversation(row, None).activity_id
        owner = None if dm_key is not None else new.created_by
        try:
            with transaction.atomic(using=self._using):
                row.save(using=self._using, force_insert=True)
                self._places().bulk_create(
                    [
                        MembershipRow(
                            user_id=user,
                            conversation_id=new.id,
                            role=(Role.OWNER if user == owner else Role.MEMBER).value,
                            joined_at=now,
                        )
                        for user in members
                    ],
                    batch_size=_CHUNK,
                )
        except IntegrityError:
            # The other of the pair was quicker; anything else is not ours to explain.
            existing = self._rows().filter(dm_key=dm_key).first() if dm_key is not None else None
            if existing is None:
                raise
            return self._with_members([existing])[0], False
        return _conversation(row, frozenset(members) if len(members) <= self._max_inline else None), True

    def get(self, ids: Iterable[ConversationId]) -> dict[ConversationId, Conversation]:
        """Return those that exist, with ``members`` inline up to ``max_inline``."""
        rows: list[tuple[Any, ...]] = []
        with connections[self._using].cursor() as cursor:
            for chunk in _chunks(list(set(ids))):
                cursor.execute(_CONVERSATIONS.format(_placeholders(chunk)), chunk)
                rows += cursor.fetchall()
        members = self._inline_members({row[0]: row[4] for row in rows})
        chains = self._further_chains(row[0] for row in rows if row[9])
        found: dict[ConversationId, Conversation] = {}
        for number, kind, created_at, name, members_count, last, created_by, hot_k, last_id, _, *more in rows:
            version, expired, timer_s, encrypted, picture = more
            found[ConversationId(number)] = Conversation(
                id=ConversationId(number),
                type=ConversationType(kind),
                created_at=_moment(created_at),
                name=name,
                members_count=members_count,
                members=members.get(number),
                last_message_id=None if last is None else MessageId(last),
                created_by=None if created_by is None else UserId(created_by),
                hot_k=hot_k,
                chains=_first_chain(last_id) | chains.get(number, {}),
                version=version,
                expired_id=MessageId(expired),
                timer_s=timer_s,
                encrypted=bool(encrypted),
                picture=None if picture is None else MediaId(picture),
            )
        return found

    def _further_chains(self, spread: Iterable[int]) -> dict[int, dict[int, Chain]]:
        """Return the chains beside the first of those conversations that are or were hot: no query where none is."""
        found: dict[int, dict[int, Chain]] = {}
        with connections[self._using].cursor() as cursor:
            for chunk in _chunks(list(spread)):
                cursor.execute(_CHAINS.format(_placeholders(chunk)), chunk)
                for number, sub, first_id, last_id in cursor.fetchall():
                    found.setdefault(number, {})[sub] = Chain(MessageId(first_id), MessageId(last_id))
        return found

    def _inline_members(self, counts: Mapping[int, int]) -> dict[int, frozenset[UserId]]:
        """Return the active members where a conversation carries them itself. ``counts``: how many each has."""
        inline: dict[int, list[UserId]] = {number: [] for number, count in counts.items() if count <= self._max_inline}
        with connections[self._using].cursor() as cursor:
            for chunk in _chunks(list(inline)):
                cursor.execute(_MEMBERS.format(_placeholders(chunk)), chunk)
                for number, user_id in cursor.fetchall():
                    inline[number].append(UserId(user_id))
        return {number: frozenset(users) for number, users in inline.items()}

    def _with_members(self, rows: Sequence[ConversationRow]) -> list[Conversation]:
        members = self._inline_members({row.id: row.members_count for row in rows})
        chains = self._further_chains(row.id for row in rows if row.is_spread)
        return [_conversation(row, members.get(row.id), chains.get(row.id)) for row in rows]

    def rename(self, conversation_id: ConversationId, name: str) -> None:
        """Change the name."""
        self._rows().filter(id=conversation_id).update(name=name)

    def set_picture(self, conversation_id: ConversationId, picture: MediaId | None) -> None:
        """Change the picture; None for none."""
        self._rows().filter(id=conversation_id).update(picture_id=picture)

    def set_hot(self, conversation_id: ConversationId, k: int) -> bool:
        """Set ``hot_k``; return whether there is such a conversation."""
        return bool(self._rows().filter(id=conversation_id).update(hot_k=k, is_spread=True))

    def spread(self) -> dict[ConversationId, int]:
        """Return ``hot_k`` of those conversations of which it is over 1."""
        rows = self._rows().filter(hot_k__gt=1).values_list("id", "hot_k")
        return {ConversationId(number): k for number, k in rows}

    # --- membership: reading ------------------------------------------------------------------

    def membership(self, user_id: UserId, conversation_id: ConversationId) -> Membership | None:
        """Return the user's membership, also an ended one."""
        row = self._places().filter(user_id=user_id, conversation_id=conversation_id).first()
        return None if row is None else _membership(row)

    def memberships(
        self, user_id: UserId, conversation_ids: Sequence[ConversationId]
    ) -> dict[ConversationId, Standing]:
        """Return the user's memberships in these, also ended ones."""
        found: dict[ConversationId, Standing] = {}
        spread: list[int] = []
        with connections[self._using].cursor() as cursor:
            for chunk in _chunks(list(dict.fromkeys(conversation_ids))):
                cursor.execute(_MEMBERSHIPS.format(_placeholders(chunk)), [user_id, *chunk])
                for conversation, role, joined, joined_at, left, read, muted, last, *more in cursor.fetchall():
                    is_spread, expired = more
                    if is_spread:
                        spread.append(conversation)
                    found[ConversationId(conversation)] = Standing(
                        Membership(
                            user_id=user_id,
                            conversation_id=ConversationId(conversation),
                            role=Role(role),
                            joined_id=MessageId(joined),
                            joined_at=_moment(joined_at),
                            left_id=None if left is None else MessageId(left),
                            last_read_id=MessageId(read),
                            muted_until=None if muted is None else _moment(muted),
                        ),
                        _first_chain(last),
                        MessageId(expired),
                    )
        for number, chains in self._further_chains(spread).items():
            stands = found[ConversationId(number)]
            found[ConversationId(number)] = replace(stands, chains={**stands.chains, **chains})
        return found

    def ends(self, conversation_ids: Collection[ConversationId]) -> dict[ConversationId, Mark]:
        """Return of those that exist where each chain ends."""
        found: dict[ConversationId, dict[int, MessageId]] = {}
        spread: list[int] = []
        with connections[self._using].cursor() as cursor:
            for chunk in _chunks(list(dict.fromkeys(conversation_ids))):
                cursor.execute(_ENDS.format(_placeholders(chunk)), chunk)
                for number, last_id, is_spread in cursor.fetchall():
                    found[ConversationId(number)] = {} if last_id is None else {0: MessageId(last_id)}
                    if is_spread:
                        spread.append(number)
        for number, chains in self._further_chains(spread).items():
            found[ConversationId(number)] |= {sub: chain.last_id for sub, chain in chains.items()}
        return dict(found)

    def places(self, user_id: UserId, *, after: ConversationId, limit: int) -> list[Membership]:
        """Return a page of the user's memberships, also ended ones, beginning after ``after``."""
        rows = self._places().filter(user_id=user_id, conversation_id__gt=after)
        return [_membership(row) for row in rows.order_by("conversation_id")[:limit]]

    def members(self, conversation_id: ConversationId, *, after: UserId = UserId(0), limit: int) -> list[Membership]:
        """Return a page of the active members in user-id order, beginning after ``after``."""
        rows = self._places().filter(conversation_id=conversation_id, left_id=None, user_id__gt=after)
        return [_membership(row) for row in rows.order_by("user_id")[:limit]]

    def rosters(self, conversation_ids: Sequence[ConversationId]) -> dict[ConversationId, list[Membership]]:
        """Return all active members, in user-id order, of those conversations whose members are inline."""
        found: dict[ConversationId, list[Membership]] = {}
        for chunk in _chunks(list(dict.fromkeys(conversation_ids))):
            rows = self._places().filter(
                conversation_id__in=chunk, left_id=None, conversation__members_count__lte=self._max_inline
            )
            for row in rows.order_by("conversation_id", "user_id"):
                found.setdefault(ConversationId(row.conversation_id), []).append(_membership(row))
        return found

    def sharing(self, user_id: UserId, others: Sequence[UserId]) -> set[UserId]:
        """Return those of ``others`` who are active members of a conversation of which ``user_id`` is one, too."""
        found: set[UserId] = set()
        for chunk in _chunks(list(dict.fromkeys(others))):
            rows = self._places().filter(
                user_id__in=chunk,
                left_id=None,
                conversation__memberships__user_id=user_id,
                conversation__memberships__left_id=None,
            )
            found.update(UserId(other) for other in rows.values_list("user_id", flat=True).distinct())
        return found

    def active_since(
        self, user_id: UserId, after: MessageId, *, besides: Collection[ConversationId] = (), limit: int
    ) -> list[ConversationId]:
        """Return the user's active conversations, but for ``besides``, that have something newer, newest first."""
        with connections[self._using].cursor() as cursor:
            cursor.execute(_ACTIVE_SINCE, [user_id, after, limit + len(besides)])
            found = [ConversationId(row[0]) for row in cursor.fetchall()]
        return [id_ for id_ in found if id_ not in besides][:limit]

    def inbox(
        self, user_id: UserId, *, before: tuple[int, int] | None = None, limit: int, pinned: bool = False
    ) -> list[InboxRow]:
        """Return the user's active conversations, newest activity first, beginning after the key ``before``."""
        rows = self._places().filter(user_id=user_id, left_id=None).select_related("conversation")
        if pinned:
            rows = rows.filter(is_pinned=True)
        if before is not None:
            activity, conversation_id = before
            rows = rows.filter(
                Q(conversation__activity_id__lt=activity)
                | Q(conversation__activity_id=activity, conversation_id__lt=conversation_id)
            )
        page = list(rows.order_by("-conversation__activity_id", "-conversation_id")[:limit])
        conversations = self._with_members([row.conversation for row in page])
        return [InboxRow(conversation, _membership(row)) for conversation, row in zip(conversations, page, strict=True)]

    # --- membership: writing ------------------------------------------------------------------

    def add_members(
        self, conversation_id: ConversationId, users: Sequence[UserId], *, role: Role, limit: int, at: MessageId
    ) -> list[UserId]:
        """Make users members from the record at ``at`` on; return those who were not members before.

        Raises:
            TooManyMembers: nothing was changed.
            NotFound: there is no such conversation.
        """
        wanted = list(dict.fromkeys(users))
        with transaction.atomic(using=self._using):
            row = self._locked(conversation_id)
            known: dict[int, MembershipRow] = {}
            for chunk in _chunks(wanted):
                for place in self._places().filter(conversation_id=conversation_id, user_id__in=chunk):
                    known[place.user_id] = place
            back = [place for place in known.values() if place.left_id is not None and place.left_id < at]
            added = [user for user in wanted if user not in known or known[user] in back]
            count = row.members_count + len(added)
            if added and count > limit:
                raise TooManyMembers(f"the conversation would have {count} members; the limit is {limit}")
            now, joined_id = timezone.now(), at - 1
            fresh = [
                MembershipRow(
                    user_id=user, conversation_id=conversation_id, role=role.value, joined_id=joined_id, joined_at=now
                )
                for user in added
                if user not in known
            ]
            for place in back:
                place.joined_id, place.joined_at, place.left_id = joined_id, now, None
                place.role, place.muted_until = role.value, None
                place.archived_id, place.is_pinned, place.unread_id = 0, False, 0
            self._places().bulk_create(fresh, batch_size=100)
            fields = [
                "joined_id",
                "joined_at",
                "left_id",
                "role",
                "muted_until",
                "archived_id",
                "is_pinned",
                "unread_id",
            ]
            self._places().bulk_update(back, fields, batch_size=30)
            if added:
                row.members_count = count
                if row.type == ConversationType.GROUP_SMALL and count > self._max_inline:
                    row.type = ConversationType.GROUP_LARGE.value
                row.version += 1
                row.save(using=self._using, update_fields=["members_count", "type", "version"])
        return added

    def end_membership(self, user_id: UserId, conversation_id: ConversationId, *, at: MessageId) -> bool:
        """Set ``left_id``; return whether the user was a member whose stay began before ``at``."""
        with transaction.atomic(using=self._using):
            self._rows().select_for_update().filter(id=conversation_id).first()
            ended = (
                self._places()
                .filter(user_id=user_id, conversation_id=conversation_id, left_id=None, joined_id__lt=at)
                .update(left_id=at)
            )
            if ended:
                self._rows().filter(id=conversation_id).update(
                    members_count=F("members_count") - 1, version=F("version") + 1
                )
        return bool(ended)

    def set_role(self, user_id: UserId, conversation_id: ConversationId, role: Role) -> None:
        """Change an active member's role."""
        self._places().filter(user_id=user_id, conversation_id=conversation_id, left_id=None).update(role=role.value)

    def mark_read(self, marks: Sequence[tuple[UserId, ConversationId, MessageId]]) -> None:
        """Move ``last_read_id`` forward, in one transaction."""
        if not marks:
            return
        with transaction.atomic(using=self._using), connections[self._using].cursor() as cursor:
            cursor.executemany(
                "UPDATE membership SET last_read_id = %s"
                " WHERE user_id = %s AND conversation_id = %s AND last_read_id < %s",
                [(message, user, conversation, message) for user, conversation, message in sorted(marks)],
            )

    def keep_marks(self, user_id: UserId, device_id: DeviceId, marks: Mapping[ConversationId, Mark]) -> None:
        """Remember how far a device has each conversation, in one transaction."""
        if not marks:
            return
        rows = sorted((of, sub, held) for of, mark in marks.items() for sub, held in mark.items())
        with transaction.atomic(using=self._using), connections[self._using].cursor() as cursor:
            cursor.executemany(_KEEP_MARK, [(user_id, device_id, *row) for row in rows])

    def kept_marks(self, user_id: UserId, device_id: DeviceId, *, limit: int) -> dict[ConversationId, Mark]:
        """Return the newest marks that were remembered of a device."""
        found: dict[ConversationId, dict[int, MessageId]] = {}
        with connections[self._using].cursor() as cursor:
            cursor.execute(_KEPT_MARKS, [user_id, device_id, user_id, device_id, limit])
            for conversation, sub, held in cursor.fetchall():
                found.setdefault(ConversationId(conversation), {})[sub] = MessageId(held)
        return dict(found)

    def set_muted(self, user_id: UserId, conversation_id: ConversationId, until: datetime | None) -> None:
        """Mute until a moment, or not at all."""
        self._places().filter(user_id=user_id, conversation_id=conversation_id).update(muted_until=until)

    def shelve(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        archived_id: MessageId | None = None,
        pinned: bool | None = None,
        unread_id: MessageId | None = None,
    ) -> None:
        """Change these of a member's ``shelf``."""
        given = {"archived_id": archived_id, "is_pinned": pinned, "unread_id": unread_id}
        changed = {name: value for name, value in given.items() if value is not None}
        if changed:
            self._places().filter(user_id=user_id, conversation_id=conversation_id).update(**changed)

    # --- retention ----------------------------------------------------------------------------

    def set_timer(self, conversation_id: ConversationId, timer_s: int | None) -> None:
        """Set after how many seconds messages are to expire; None for never."""
        self._rows().filter(id=conversation_id).update(timer_s=timer_s)

    def expire(self, conversation_id: ConversationId, upto: MessageId) -> None:
        """Move ``expired_id`` forward."""
        self._rows().filter(id=conversation_id, expired_id__lt=upto).update(expired_id=upto)

    def scan(self, *, after: int | None = None, limit: int) -> list[tuple[int, Conversation]]:
        """Return a page of all conversations; the position is the id."""
        rows = self._rows() if after is None else self._rows().filter(id__gt=after)
        page = list(rows.order_by("id")[:limit])
        chains = self._further_chains(row.id for row in page if row.is_spread)
        return [(row.id, _conversation(row, None, chains.get(row.id))) for row in page]
