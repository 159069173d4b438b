"""What can go wrong."""

from collections.abc import Mapping
from typing import Any


class ChatError(Exception):
    """All errors of this package."""


class Unreachable(ChatError):
    """No server answered: whether a request took effect is unknown. Try again."""


class SignedOut(ChatError):
    """The server closed the connection for good: the token is not valid any more, or the account is suspended."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        #: The close code (docs/protocol.md, Close codes).
        self.code = code


class Refused(ChatError):
    """The server said no."""

    def __init__(self, status: int, code: str, detail: str = "") -> None:
        super().__init__(f"{status} {code}" + (f": {detail}" if detail else ""))
        #: Of the HTTP answer; 0 where a frame was refused.
        self.status = status
        #: See docs/protocol.md, Errors.
        self.code = code
        self.detail = detail

    @classmethod
    def by(cls, frame: Mapping[str, Any]) -> "Refused":
        """Return the refusal that an ``error`` frame tells."""
        return cls(0, frame["code"], frame.get("detail", ""))
