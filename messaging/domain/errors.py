"""The one tree of errors, and the one table that maps it to the socket and to HTTP.

::

    ChatError
    ├── BadFrame            bad_frame         the frame cannot be read
    │   └── UnknownOp       unknown_op        … because nobody knows its op
    ├── InvalidInput        invalid           a field's value is not acceptable
    │   ├── TooLarge        too_large         … because it is over a size limit
    │   └── TooManyMembers  too_many_members  … because the group would pass its limit
    ├── Unauthenticated     unauthenticated   no, or no longer valid, credentials
    ├── NotFound            not_found         absent, or not yours: the two look alike
    ├── SessionLost         session_lost      this pod has no such session of long polling; open a new one
    ├── Forbidden           forbidden         yours to see, not yours to do
    │   ├── Blocked         blocked           … because one of the two blocked the other
    │   ├── NotAccepted     not_accepted      … because a rule of the moderators refuses the text
    │   └── Suspended       suspended         … because moderators suspended the account
    ├── Conflict            conflict          the state does not allow it
    ├── RateLimited         rate_limited      too fast; retry after ``retry_after`` seconds
    └── Unavailable         unavailable       not durable, not acked; retry with the same msg_id
"""

from typing import ClassVar


class ChatError(Exception):
    """Base of all errors that a client may see. ``detail`` is safe to show; it never holds message text."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    #: Whether the same request may succeed later.
    temporary: ClassVar[bool] = False

    def __init__(self, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        #: Seconds to wait before the next try, where the server knows.
        self.retry_after = retry_after


class BadFrame(ChatError):
    """The frame is not valid JSON or Protobuf, or a field has the wrong type."""

    code = "bad_frame"
    http_status = 400
    title = "Malformed request"


class UnknownOp(BadFrame):
    """The frame names an op that this server does not know."""

    code = "unknown_op"
    title = "Unknown op"


class InvalidInput(ChatError):
    """A field has the right type and an unacceptable value."""

    code = "invalid"
    http_status = 400
    title = "Invalid input"


class TooLarge(InvalidInput):
    """A frame, body or list is over its limit."""

    code = "too_large"
    http_status = 413
    title = "Too large"


class TooManyMembers(InvalidInput):
    """The conversation would have more members than a group may have."""

    code = "too_many_members"
    title = "Too many members"


class Unauthenticated(ChatError):
    """Credentials are missing, wrong, expired or revoked."""

    code = "unauthenticated"
    http_status = 401
    title = "Authentication required"


class NotFound(ChatError):
    """There is no such thing, or none that this user may know of."""

    code = "not_found"
    http_status = 404
    title = "Not found"


class SessionLost(ChatError):
    """There is no such session of long polling here: it is over, another's, or on a pod that is gone."""

    code = "session_lost"
    http_status = 410
    title = "Session lost"
    temporary = True


class Forbidden(ChatError):
    """The user may see the thing but not do this to it."""

    code = "forbidden"
    http_status = 403
    title = "Not allowed"


class Blocked(Forbidden):
    """One of the two people of a direct conversation has blocked the other."""

    code = "blocked"
    title = "Blocked"


class NotAccepted(Forbidden):
    """A rule of the moderators refuses the text. Which one, and why, is not told: it would be worked around."""

    code = "not_accepted"
    title = "The rules of this server do not accept this text"


class Suspended(Forbidden):
    """Moderators suspended the account; ``detail`` says why and until when, ``retry_after`` the seconds until then."""

    code = "suspended"
    title = "Account suspended"


class Conflict(ChatError):
    """The present state does not allow the change."""

    code = "conflict"
    http_status = 409
    title = "Conflict"


class RateLimited(ChatError):
    """Too many requests; ``retry_after`` says when to come back."""

    code = "rate_limited"
    http_status = 429
    title = "Too many requests"
    temporary = True


class Unavailable(ChatError):
    """The log did not take the record inside the deadline: nothing was acked; resend with the same ``msg_id``."""

    code = "unavailable"
    http_status = 503
    title = "Temporarily unavailable"
    temporary = True


class CloseCode:
    """WebSocket close codes. 4400–4449 are final: sign in or mend the client. After the others: reconnect."""

    NORMAL = 1000
    GOING_AWAY = 1001
    #: A text message that is not UTF-8.
    NOT_UTF8 = 1007
    TOO_BIG = 1009
    INTERNAL = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    PROTOCOL_VIOLATION = 4400
    UNAUTHENTICATED = 4401
    #: The account is suspended; the reason says why, and until when.
    SUSPENDED = 4402
    FORBIDDEN_ORIGIN = 4403
    #: No frame for ``idle_timeout_s``; reconnect.
    IDLE = 4450
