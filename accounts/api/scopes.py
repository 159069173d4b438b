"""What bots and their tokens are good for over REST (docs/decisions/0080)."""

from typing import Any, Final

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import UserRateThrottle

from accounts.models import READ, WRITE, Device
from messaging.domain import ids
from messaging.domain.errors import Forbidden
from messaging.domain.ids import ConversationId

#: What a bot may ask at all, by method and route under /v1. What is not here is for people: a new endpoint has to be
#: named to be a bot's.
OPEN_TO_BOTS: Final = frozenset(
    {
        "get me",
        "patch me",
        "get users",
        "get users/<str:user>",
        "get users/<str:user>/picture",
        "put me/picture",
        "delete me/picture",
        "delete tokens/current",
        "get conversations",
        "get conversations/<str:conversation>",
        "patch conversations/<str:conversation>",
        "get conversations/<str:conversation>/messages",
        "post conversations/<str:conversation>/messages",
        "get conversations/<str:conversation>/since",
        "get conversations/<str:conversation>/pins",
        "get conversations/<str:conversation>/members",
        "post conversations/<str:conversation>/members",
        "delete conversations/<str:conversation>/members/<str:user>",
        "get conversations/<str:conversation>/picture",
        "put conversations/<str:conversation>/read",
        "get messages/<str:message>",
        "patch messages/<str:message>",
        "delete messages/<str:message>",
        "put messages/<str:message>/reactions/<str:emoji>",
        "delete messages/<str:message>/reactions/<str:emoji>",
        "put messages/<str:message>/pin",
        "delete messages/<str:message>/pin",
        "post media",
        "get media/<str:media>",
        "delete media/<str:media>",
        "get media/<str:media>/content",
        "get media/<str:media>/thumbnail",
        "put media/<str:media>/parts/<str:number>",
        "post media/<str:media>/complete",
        "get search",
    }
)
#: Of these, what shows nothing of any conversation: good for a token that is limited to some.
_OF_NO_CONVERSATION: Final = frozenset(
    {"get me", "get users", "get users/<str:user>", "get users/<str:user>/picture", "delete tokens/current"}
)
_PREFIX: Final = "v1/"


class WithinScopes(BasePermission):
    """Passes people; of bots what is open to them and what their token is good for."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True. Raises Forbidden, with what is missing."""
        if not getattr(request.user, "is_bot", False):
            return True
        method = "get" if request.method in ("HEAD", "OPTIONS") else str(request.method).lower()
        match = request.resolver_match
        asked = f"{method} {match.route.removeprefix(_PREFIX) if match is not None else ''}"
        if asked not in OPEN_TO_BOTS:
            raise Forbidden("this is not for bots")
        if isinstance(request.auth, Device):
            _require(request.auth, asked, view.kwargs)
        return True


def _require(token: Device, asked: str, values: dict[str, str]) -> None:
    needed = READ if asked.startswith("get ") else WRITE
    # Whoever has a token may always give it back.
    if token.scopes is not None and needed not in token.scopes and asked != "delete tokens/current":
        raise Forbidden(f"the token is not good for this: it lacks the scope {needed}")
    if token.conversations is None or asked in _OF_NO_CONVERSATION:
        return
    conversation = _conversation_of(values)
    if conversation is None:
        raise Forbidden("the token is good for some conversations only, and this is about none of them alone")
    if conversation not in token.conversations:
        raise Forbidden("the token is not good for this conversation")


def _conversation_of(values: dict[str, str]) -> ConversationId | None:
    """Return which conversation a path is about; None where it names none that can be read from it."""
    try:
        if "conversation" in values:
            return ids.parse_conversation(values["conversation"])
        if "message" in values:
            return ids.parse_server_id(values["message"])[0]
    except ids.InvalidId:
        return ConversationId(0)
    return None


def require_all_conversations(request: Request) -> None:
    """Pass who may read all conversations of the user. Raises Forbidden: a token that is limited to some."""
    if isinstance(request.auth, Device) and request.auth.conversations is not None:
        raise Forbidden("the token is good for some conversations only")


class CallerThrottle(UserRateThrottle):
    """Requests counted per user; a bot has a rate of its own (CHAT_BOT_API_RATE)."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Return whether the request is within the rate."""
        if getattr(request.user, "is_bot", False):
            self.scope = "bot"
            self.num_requests, self.duration = self.parse_rate(self.get_rate())
        return super().allow_request(request, view)
