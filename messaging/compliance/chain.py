"""The chain of the audit log: what is hashed, and how anybody can find out that something is not as it was written.

Pure: no database and no clock, so that a log can be verified far away from the server that wrote it.

An entry is hashed as canonical JSON (RFC 8785): the keys sorted, no white space, UTF-8, and of numbers only integers
that every reader can hold. ``prev_hash`` is the hash of the entry before it, for the first one ``GENESIS``; so whoever
alters one entry has to alter all that follow. A checkpoint is a signature over the number and the hash of one entry:
with it, and a copy of it elsewhere, the whole log up to there cannot be written anew either.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from messaging.compliance.signing import is_signed, key_id

GENESIS: Final = "0" * 64
#: Of both lines, so that the fields may change one day.
_VERSION: Final = 1
#: What a double holds exactly, and with it every reader of JSON.
_MAX_NUMBER: Final = 2**53 - 1
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,47}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One act. ``actor``: ``u_…`` or ``system``; ``object``: what it was done to, by the id that it has on the wire."""

    seq: int
    at: datetime
    actor: str
    action: str
    object: str
    reason: str
    case: str
    details: Mapping[str, Any]
    prev_hash: str

    def fields(self) -> dict[str, Any]:
        """Return what is hashed."""
        return {
            "v": _VERSION,
            "seq": self.seq,
            "at": moment(self.at),
            "actor": self.actor,
            "action": self.action,
            "object": self.object,
            "reason": self.reason,
            "case": self.case,
            "details": self.details,
            "prev_hash": self.prev_hash,
        }

    def line(self) -> dict[str, Any]:
        """Return the entry as a line of an export: what is hashed, the hash, and ``type``."""
        return {"type": "entry", **self.fields(), "hash": digest(self.fields())}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a key attests: that at ``at`` entry ``seq`` had this hash. ``key``: see ``signing.key_id``."""

    seq: int
    entry_hash: str
    at: datetime
    key: str

    def fields(self) -> dict[str, Any]:
        """Return what is signed."""
        return {
            "v": _VERSION,
            "seq": self.seq,
            "entry_hash": self.entry_hash,
            "at": moment(self.at),
            "key": self.key,
        }

    def line(self, signature: str) -> dict[str, Any]:
        """Return the checkpoint as a line of an export: what is signed, the signature, and ``type``."""
        return {"type": "checkpoint", **self.fields(), "signature": signature}


def moment(at: datetime) -> str:
    """Return a time as it is written everywhere in the log: UTC, to the microsecond, ``Z``."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def canonical(value: Mapping[str, Any]) -> bytes:
    """Return the one encoding of a value that passed ``check_plain``: RFC 8785."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest(fields: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical encoding, in hexadecimal."""
    return sha256(canonical(fields)).hexdigest()


def check_plain(value: Any) -> None:
    """Pass what has one canonical encoding and comes back from every database as it went in.

    Raises:
        ValueError: a number that is no integer or too large, a text that no database holds, a key that is no name.
    """
    match value:
        case None | bool():
            return
        case int():
            if abs(value) > _MAX_NUMBER:
                raise ValueError("a number is too large; write it as text")
        case str():
            if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
                raise ValueError("a text has characters that no database holds")
        case list() | tuple():
            for item in value:
                check_plain(item)
        case Mapping():
            for key, item in value.items():
                if not isinstance(key, str) or not _KEY.fullmatch(key):
                    raise ValueError("a key is no lower-case name")
                check_plain(item)
        case _:
            raise ValueError(f"a {type(value).__name__} cannot be written down; use text")


class Verifier:
    """Reads the lines of a log in their order and gathers what is wrong; ``keys`` are public keys that are trusted.

    A checkpoint stands after its entry, anywhere before the next one's. The first entry may be any: what came
    before it is not in the file, and ``first`` says so.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys = {key_id(key): key for key in keys}
        self._last_hash = ""
        #: First and last number that were read; 0 where there was none.
        self.first = self.last = 0
        self.entries = self.checkpoints = 0
        #: The newest entry that a checkpoint attests.
        self.attested = 0
        self.problems: list[str] = []

    def read(self, line: Mapping[str, Any]) -> None:
        """Take the next line."""
        try:
            match line.get("type"):
                case "entry":
                    self._read_entry(line)
                case "checkpoint":
                    self._read_checkpoint(line)
                case _:
                    self.problems.append(f"after entry {self.last}: a line that is neither entry nor checkpoint")
        except (KeyError, TypeError, ValueError):
            self.problems.append(f"after entry {self.last}: a line that cannot be read")

    def _read_entry(self, line: Mapping[str, Any]) -> None:
        fields = {name: value for name, value in line.items() if name not in ("type", "hash")}
        seq, prev_hash, written = int(line["seq"]), str(line["prev_hash"]), str(line["hash"])
        if not self.entries:
            self.first = seq
            if seq == 1 and prev_hash != GENESIS:
                self.problems.append("entry 1 says that another came before it")
        elif seq <= self.last:
            self.problems.append(f"entry {seq} stands after entry {self.last}: moved or repeated")
        elif seq > self.last + 1:
            self.problems.append(f"missing: entries {self.last + 1} to {seq - 1}")
        elif prev_hash != self._last_hash:
            self.problems.append(f"entry {seq} does not follow entry {self.last}: one of them was replaced")
        if digest(fields) != written:
            self.problems.append(f"entry {seq} was altered")
        self.entries += 1
        self.last, self._last_hash = seq, written

    def _read_checkpoint(self, line: Mapping[str, Any]) -> None:
        fields = {name: value for name, value in line.items() if name not in ("type", "signature")}
        seq, name = int(line["seq"]), str(line["key"])
        self.checkpoints += 1
        key = self._keys.get(name)
        if key is None:
            self.problems.append(f"the checkpoint at entry {seq} is by a key that is not trusted here: {name}")
        elif not is_signed(key, canonical(fields), str(line["signature"])):
            self.problems.append(f"the checkpoint at entry {seq} was altered: its signature does not hold")
        elif seq > self.last:
            self.problems.append(f"missing: entries {self.last + 1} to {seq}, which a checkpoint attests")
        elif seq < self.last:
            self.problems.append(f"the checkpoint at entry {seq} stands after entry {self.last}: moved")
        elif line["entry_hash"] != self._last_hash:
            self.problems.append(f"entry {seq} is not the one that its checkpoint attests")
        else:
            self.attested = seq
