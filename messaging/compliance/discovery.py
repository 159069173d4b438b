"""What is in an export for a case (docs/compliance.md, docs/decisions/0045).

All of what the stores have of the selection: also what members do not see, because it was edited, deleted, withheld,
or is over its time and held. A page of messages, one conversation's events or one file's piece is in memory at a time;
changes wait on disk for the messages that they are of.
"""

import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Final
from uuid import UUID

import msgspec
from django.template.loader import render_to_string

from accounts.selectors import people
from chatproject import container
from messaging.archive import Archive, time_of, written
from messaging.compliance.models import AuditEntry
from messaging.domain import ids
from messaging.domain.frames import Event
from messaging.domain.ids import ConversationId, MediaId, MessageId, UserId
from messaging.domain.messages import Conversation, Membership, MessageChangeKind, StoredChange, StoredMessage
from messaging.media import portraits
from messaging.media.models import MediaObject, State
from messaging.ports import MediaMissing

FORMAT: Final = 1
_PAGE: Final = 500
#: Pictures get the ending of their kind; nothing else gets one by which a program would run or show it.
_ENDINGS: Final = {"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp"}
_PIECE_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Selection:
    """What is exported: the conversations named, and each in which a user named is or ever was, as a whole.

    ``begins_at`` and ``ends_at`` (either may be None) are times at which messages were sent. What came after ``at``,
    and entries of the audit log after ``audit_seq``, are left out.
    """

    case: str
    users: tuple[UserId, ...]
    conversations: tuple[ConversationId, ...]
    begins_at: datetime | None
    ends_at: datetime | None
    at: datetime
    audit_seq: int

    @property
    def cut(self) -> MessageId:
        """The last id that a message or change in it can have."""
        return _last_id_at(self.at)

    @property
    def first(self) -> MessageId:
        """The first id that a message in it can have."""
        return MessageId(1) if self.begins_at is None else ids.first_id_at(_ms(self.begins_at))

    @property
    def last(self) -> MessageId:
        """The last id that a message in it can have."""
        return self.cut if self.ends_at is None else min(self.cut, _last_id_at(self.ends_at))

    def fields(self) -> dict[str, Any]:
        """Return it as the manifest has it."""
        return {
            "case": self.case,
            "users": [ids.user_ref(it) for it in self.users],
            "conversations": [ids.conversation_ref(it) for it in self.conversations],
            "begins_at": written(self.begins_at),
            "ends_at": written(self.ends_at),
            "at": written(self.at),
            "audit_seq": self.audit_seq,
        }


@dataclass(slots=True)
class Counts:
    """How far an export is."""

    conversations_found: int = 0
    conversations_done: int = 0
    messages: int = 0
    media: int = 0
    media_missing: int = 0

    def fields(self) -> dict[str, int]:
        """Return them by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def write(selection: Selection, file: IO[bytes], tick: Callable[[Counts], None]) -> Counts:
    """Write the export as a zip, and return what is in it; the same selection makes the same zip while nothing goes.

    ``tick`` is called between steps of a few hundred rows or a piece of a file; what it raises ends the work.

    Raises:
        StoreUnavailable, DatabaseError, OSError: begin anew.
    """
    with closing(_Spool()) as spool:
        return _Writer(selection, file, spool, tick).write()


class _Spool:
    """What has to wait on disk: a database without a name, which goes with its connection."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("")
        self._rows.execute(
            "CREATE TABLE changes (target INTEGER, id INTEGER, line TEXT, PRIMARY KEY (target, id)) WITHOUT ROWID"
        )
        self._rows.execute("CREATE TABLE media (ref TEXT PRIMARY KEY, line TEXT) WITHOUT ROWID")

    def close(self) -> None:
        self._rows.close()

    def take(self, changes: Sequence[tuple[MessageId, MessageId, dict[str, Any]]]) -> None:
        rows = [(target, id_, json.dumps(line)) for target, id_, line in changes]
        self._rows.executemany("INSERT OR REPLACE INTO changes VALUES (?, ?, ?)", rows)

    def forget_changes(self) -> None:
        """Make room for those of another conversation."""
        self._rows.execute("DELETE FROM changes")

    def changes_of(self, first: MessageId, last: MessageId) -> dict[int, list[dict[str, Any]]]:
        """Return the changes of messages from ``first`` to ``last``, in their order."""
        found: dict[int, list[dict[str, Any]]] = {}
        query = "SELECT target, line FROM changes WHERE target BETWEEN ? AND ? ORDER BY target, id"
        for target, line in self._rows.execute(query, (first, last)):
            found.setdefault(target, []).append(json.loads(line))
        return found

    def refer(self, refs: Sequence[str]) -> None:
        self._rows.executemany("INSERT OR IGNORE INTO media VALUES (?, '')", [(ref,) for ref in refs])

    def next_media(self, after: str) -> list[str]:
        query = "SELECT ref FROM media WHERE ref > ? ORDER BY ref LIMIT ?"
        return [ref for (ref,) in self._rows.execute(query, (after, _PAGE))]

    def describe(self, ref: str, line: dict[str, Any]) -> None:
        self._rows.execute("UPDATE media SET line = ? WHERE ref = ?", (json.dumps(line), ref))

    def described(self) -> Iterator[dict[str, Any]]:
        for (line,) in self._rows.execute("SELECT line FROM media ORDER BY ref"):
            yield json.loads(line)


class _Writer:
    """One export in the making."""

    def __init__(self, selection: Selection, file: IO[bytes], spool: _Spool, tick: Callable[[Counts], None]) -> None:
        self._selection, self._spool, self._tick = selection, spool, tick
        self._archive = Archive(file, selection.at)
        self._counts = Counts()
        self._people: set[UserId] = set(selection.users)
        self._messages, self._conversations = container.message_store(), container.conversation_store()

    def write(self) -> Counts:
        chosen = self._chosen()
        self._counts.conversations_found = len(chosen)
        rows = []
        for id_ in chosen:
            rows.append(self._conversation(id_))
            self._counts.conversations_done += 1
            self._step()
        self._archive.lines("conversations.jsonl", rows)
        pictures = {user: self._pictures(user) for user in self._selection.users}
        self._media()
        self._archive.lines("people.jsonl", self._named(pictures))
        self._archive.lines("acts.jsonl", self._acts_on(chosen))
        self._archive.text("index.html", render_to_string("compliance/export_index.html", self._context(rows=rows)))
        selection = self._selection.fields()
        digest = hashlib.sha256(json.dumps(selection, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        counts = self._counts.fields()
        self._archive.close({"format": FORMAT, "selection": selection, "selection_sha256": digest, "counts": counts})
        return self._counts

    def _step(self) -> None:
        self._tick(self._counts)

    def _context(self, **more: Any) -> dict[str, Any]:
        return {"selection": self._selection.fields(), "counts": self._counts, **more}

    def _chosen(self) -> list[ConversationId]:
        found = set(self._conversations.get(self._selection.conversations))
        for user in self._selection.users:
            after = ConversationId(0)
            # Also where the user was once.
            while page := self._conversations.places(user, after=after, limit=_PAGE):
                talks = self._conversations.get([place.conversation_id for place in page])
                found |= {it.id for it in talks.values() if it.created_at <= self._selection.at}
                after = page[-1].conversation_id
                self._step()
        return sorted(found)

    # --- one conversation ---

    def _conversation(self, id_: ConversationId) -> dict[str, Any]:
        """Write what there is of a conversation, and return the line that tells of it."""
        conversation = self._conversations.get([id_])[id_]
        ref, before = ids.conversation_ref(id_), self._counts.messages
        # Who was there, also before the begin of the time.
        present: set[UserId] = set()
        self._archive.lines(f"{ref}/events.jsonl", self._events(id_, present))
        self._spool.forget_changes()
        self._load_changes(id_, present)
        with tempfile.TemporaryFile() as page:
            page.write(
                render_to_string("compliance/export_head.html", self._context(ref=ref, it=conversation)).encode()
            )
            self._archive.lines(f"{ref}/messages.jsonl", self._said(conversation, page, present))
            # A group has 5,000 members at most.
            members = list(self._members(id_, present))
            self._archive.lines(f"{ref}/members.jsonl", members)
            page.write(render_to_string("compliance/export_members.html", {"members": _with_names(members)}).encode())
            page.seek(0)
            self._archive.pieces(f"{ref}/index.html", iter(lambda: page.read(_PIECE_BYTES), b""))
        self._people |= present
        return {
            "id": ref,
            "type": "dm" if conversation.type.value == "dm" else "group",
            "name": conversation.name,
            "created_at": written(conversation.created_at),
            "encrypted": conversation.encrypted,
            "messages": self._counts.messages - before,
        }

    def _pages(self, id_: ConversationId, first: MessageId) -> Iterator[list[StoredMessage]]:
        after = MessageId(first - 1)
        while page := self._messages.oldest_after(id_, after=after, upto=self._selection.last, limit=_PAGE):
            yield page
            after = page[-1].message_id
            self._step()

    def _events(self, id_: ConversationId, present: set[UserId]) -> Iterator[dict[str, Any]]:
        for page in self._pages(id_, MessageId(1)):
            for message in page:
                if message.kind == "event":
                    event = _event(message)
                    present.update(map(ids.parse_user, event.users))
                    yield {
                        "id": ids.server_id(id_, message.message_id),
                        "number": str(message.message_id),
                        "at": time_of(message.message_id),
                        "by": _by(message.sender_id),
                        "event": msgspec.to_builtins(event),
                    }

    def _load_changes(self, id_: ConversationId, present: set[UserId]) -> None:
        first, last, upto = self._selection.first, self._selection.last, self._selection.cut
        # A change comes after what it changes.
        while page := self._messages.newest_changes(id_, after=first, upto=upto, limit=_PAGE):
            wanted = [it for it in page if first <= it.target_id <= last]
            present.update(it.actor_id for it in wanted if it.actor_id != ids.MODERATORS)
            self._spool.take([(it.target_id, it.change_id, _change(it)) for it in wanted])
            upto = MessageId(page[-1].change_id - 1)
            self._step()

    def _said(self, conversation: Conversation, out: IO[bytes], present: set[UserId]) -> Iterator[dict[str, Any]]:
        for page in self._pages(conversation.id, self._selection.first):
            present.update(message.sender_id for message in page)
            changes = self._spool.changes_of(page[0].message_id, page[-1].message_id)
            acts = self._acts([ids.server_id(conversation.id, message.message_id) for message in page])
            lines = [_message(conversation, it, changes.get(it.message_id, []), acts) for it in page]
            self._spool.refer([ref for message in page for ref in message.media])
            names = people.names_on_file(message.sender_id for message in page)
            files = _files([ref for message in page for ref in message.media])
            shown = [
                (line, names.get(message.sender_id), [(ref, *files.get(ref, ("", ""))) for ref in message.media])
                for line, message in zip(lines, page, strict=True)
            ]
            out.write(render_to_string("compliance/export_messages.html", {"messages": shown}).encode())
            self._counts.messages += len(page)
            yield from lines

    def _members(self, id_: ConversationId, present: set[UserId]) -> Iterator[dict[str, Any]]:
        """Yield the last stay of everybody who is known to be or have been there; ``events`` tell of earlier ones."""
        after, active = UserId(0), set()
        while page := self._conversations.members(id_, after=after, limit=_PAGE):
            for place in page:
                active.add(place.user_id)
                if place.joined_at <= self._selection.at:
                    yield self._member(place)
            after = page[-1].user_id
            self._step()
        for user in sorted(present - active):
            ended = self._conversations.membership(user, id_)
            if ended is not None and ended.joined_at <= self._selection.at:
                yield self._member(ended)
        present |= active

    def _member(self, place: Membership) -> dict[str, Any]:
        left = place.left_id if place.left_id is not None and place.left_id <= self._selection.cut else None
        return {
            "user": ids.user_ref(place.user_id),
            "role": place.role.value,
            "joined_at": written(place.joined_at),
            "sees_after": str(place.joined_id),
            "left_at": None if left is None else time_of(left),
            "sees_upto": None if left is None else str(left),
        }

    # --- what goes beside ---

    def _acts(self, objects: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Return what the staff did to these, as the audit log has it."""
        found: dict[str, list[dict[str, Any]]] = {}
        entries = AuditEntry.objects.filter(object__in=objects, seq__lte=self._selection.audit_seq)
        for entry in entries.order_by("seq"):
            found.setdefault(entry.object, []).append(entry.line())
        return found

    def _acts_on(self, chosen: Sequence[ConversationId]) -> Iterator[dict[str, Any]]:
        """Yield what was done to the conversations and the users named; what was done to messages is with these."""
        objects = [*map(ids.conversation_ref, chosen), *map(ids.user_ref, self._selection.users)]
        for at in range(0, len(objects), _PAGE):
            for lines in self._acts(objects[at : at + _PAGE]).values():
                yield from lines
            self._step()

    def _pictures(self, user: UserId) -> list[str]:
        """Return the pictures of a user who was asked for, and have their files written with the others."""
        refs = [ids.media_ref(it) for it in portraits.kept(user, until=self._selection.at)]
        self._spool.refer(refs)
        return refs

    def _named(self, pictures: Mapping[UserId, list[str]]) -> Iterator[dict[str, Any]]:
        everybody = sorted(self._people)
        for at in range(0, len(everybody), _PAGE):
            page = everybody[at : at + _PAGE]
            names = people.names_on_file(page)
            for user in page:
                card = names.get(user)
                yield {
                    "id": ids.user_ref(user),
                    "username": None if card is None else card.username,
                    "display_name": None if card is None else card.display_name,
                    "pictures": pictures.get(user, []),
                }

    def _media(self) -> None:
        after = ""
        while refs := self._spool.next_media(after):
            for ref in refs:
                line = self._medium(ref)
                self._spool.describe(ref, line)
                self._counts.media += 1
                self._counts.media_missing += line["file"] is None
                self._step()
            after = refs[-1]
        self._archive.lines("media.jsonl", self._spool.described())

    def _medium(self, ref: str) -> dict[str, Any]:
        """Write a file, if it is there, and return the line that tells of it."""
        try:
            item = MediaObject.objects.filter(pk=ids.parse_media(ref)).first()
        except ids.InvalidId:
            # From before there was a store of media.
            item = None
        if item is None:
            return {"id": ref, "file": None}
        line = {
            "id": ref,
            "file": None,
            "name": item.name,
            "type": item.content_type,
            "by": ids.user_ref(item.owner_id),
            "uploaded_at": written(item.created_at),
            "sha256_stored": item.sha256,
        }
        if item.state != State.READY:
            return line
        try:
            pieces = container.media_store().read(item.content_key)
        except MediaMissing:
            return line
        name = _path(ref, item)
        wrote = self._archive.pieces(name, self._ticking(pieces))
        return {**line, "file": name, "size": wrote["size"], "sha256": wrote["sha256"]}

    def _ticking(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._step()
            yield piece


# --- pages for people -----------------------------------------------------------------------------


def _path(ref: str, item: MediaObject) -> str:
    return f"media/{ref}{_ENDINGS.get(item.content_type, '.bin')}"


def _files(refs: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return where each file is in the archive, and what it is called, of those that can be there."""
    numbers = {}
    for ref in refs:
        with suppress(ids.InvalidId):
            numbers[ids.parse_media(ref)] = ref
    found = MediaObject.objects.filter(pk__in=numbers, state=State.READY) if numbers else ()
    return {numbers[MediaId(item.pk)]: (_path(numbers[MediaId(item.pk)], item), item.name) for item in found}


def _with_names(members: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], people.UserCard | None]]:
    numbers = {line["user"]: ids.parse_user(line["user"]) for line in members}
    names = people.names_on_file(numbers.values())
    return [(line, names.get(numbers[line["user"]])) for line in members]


# --- lines ----------------------------------------------------------------------------------------


def _event(message: StoredMessage) -> Event:
    return msgspec.json.decode(message.body, type=Event)


def _by(user: UserId) -> str:
    return "moderators" if user == ids.MODERATORS else ids.user_ref(user)


def _change(change: StoredChange) -> dict[str, Any]:
    line: dict[str, Any] = {
        "number": str(change.change_id),
        "at": time_of(change.change_id),
        "by": _by(change.actor_id),
        "kind": change.kind.value,
    }
    if change.kind is MessageChangeKind.EDIT:
        line |= {"body": change.body, "mentions": [ids.user_ref(it) for it in change.mentions]}
    if change.kind is MessageChangeKind.REACT:
        line |= {"emoji": change.emoji, "on": change.on}
    if change.kind is MessageChangeKind.PIN:
        line["on"] = change.on
    return line


def _message(
    conversation: Conversation,
    message: StoredMessage,
    changes: list[dict[str, Any]],
    acts: dict[str, list[dict[str, Any]]],
) -> dict[str, Any]:
    """Return a message with its first text and all that became of it.

    ``hidden`` is from the changes that are told, not what the store has folded in since.
    """
    id_ = ids.server_id(conversation.id, message.message_id)
    kinds = [change["kind"] for change in changes]
    decisions = [kind for kind in kinds if kind in (MessageChangeKind.TAKEDOWN, MessageChangeKind.RESTORE)]
    why = {
        "deleted": MessageChangeKind.DELETE in kinds,
        "withheld": decisions[-1:] == [MessageChangeKind.TAKEDOWN],
        "expired": message.message_id <= conversation.expired_id,
    }
    event = message.kind == "event"
    return {
        "id": id_,
        "number": str(message.message_id),
        "at": time_of(message.message_id),
        "by": _by(message.sender_id),
        "msg_id": str(UUID(bytes=message.client_msg_id)),
        "kind": message.kind,
        "body": "" if event else message.body,
        "event": msgspec.to_builtins(_event(message)) if event else None,
        "mentions": [ids.user_ref(it) for it in message.mentions],
        "media": message.media,
        "reply_to": None if message.reply_to is None else ids.server_id(conversation.id, message.reply_to),
        "forwarded": message.forwarded,
        "hidden": [name for name, holds in why.items() if holds],
        "changes": changes,
        "acts": acts.get(id_, []),
    }


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _last_id_at(at: datetime) -> MessageId:
    return MessageId(ids.first_id_at(_ms(at) + 1) - 1)
