"""From a request to values: a bounded body, strict fields, wire ids (design section 5)."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import IO, Any, Final

import msgspec
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from chatproject import container
from messaging.domain import ids
from messaging.domain.errors import InvalidInput, NotFound, TooLarge, TooManyMembers
from messaging.domain.ids import ConversationId, MessageId, UserId

#: Bytes of a request's body. The longest message, every character of it escaped, fits.
MAX_BODY_BYTES: Final = 1024 * 1024


def bounded(stream: IO[Any]) -> bytes:
    """Return a request's body, of at most ``MAX_BODY_BYTES``. Raises TooLarge."""
    data: bytes = stream.read(MAX_BODY_BYTES + 1)
    if len(data) > MAX_BODY_BYTES:
        raise TooLarge(f"the request is over {MAX_BODY_BYTES} bytes")
    return data


class BoundedJSONParser(BaseParser):
    """Strict JSON of at most ``MAX_BODY_BYTES``. Raises TooLarge, ParseError."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the decoded body."""
        data = bounded(stream)
        try:
            # As the socket reads its frames: a lone surrogate, which no answer could repeat, is not JSON.
            return msgspec.json.decode(data)
        # A thousand nested lists are a RecursionError.
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ParseError("the body is not valid JSON in UTF-8") from None


class StrictCharField(serializers.CharField):
    """A JSON string and nothing else: DRF would take a number for one."""

    default_error_messages = {"not_a_string": "Not a string."}

    def to_internal_value(self, data: Any) -> str:
        """Return the text as it is."""
        if not isinstance(data, str):
            self.fail("not_a_string")
        return str(data)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Validate; white space is the writer's own."""
        return super(serializers.CharField, self).run_validation(data)


class BoundedListField(serializers.ListField):
    """A JSON list whose length is looked at before its items, each of which would get an error of its own.

    ``check`` is given the length and raises the ChatError of a list that is too long.
    """

    def __init__(self, *, check: Callable[[int], None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._check = check

    def to_internal_value(self, data: Any) -> list[Any]:
        """Return the items."""
        if isinstance(data, list):
            self._check(len(data))
        return super().to_internal_value(data)


def check_members(count: int) -> None:
    """Pass a list of members that a conversation could have. Raises TooManyMembers."""
    most = container.limits().max_members
    if count > most:
        raise TooManyMembers(f"{count} members; the limit is {most}")


def check_media(count: int) -> None:
    """Pass a list of media references that a message may have. Raises TooLarge."""
    most = container.limits().max_media_refs
    if count > most:
        raise TooLarge(f"{count} media references; the limit is {most}")


def check_mentions(count: int) -> None:
    """Pass a list of mentions that a message may have. Raises TooLarge."""
    most = container.limits().max_mentions
    if count > most:
        raise TooLarge(f"{count} mentions; the limit is {most}")


class _RefField(serializers.Field[int, str, str, Any]):
    default_error_messages = {"malformed": "Not an id of this kind."}
    parse: Callable[[str], Any]
    render: Callable[[int], str]

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, str):
            self.fail("malformed")
        try:
            return int(type(self).parse(data))
        except ids.InvalidId:
            self.fail("malformed")

    def to_representation(self, value: int) -> str:
        return type(self).render(value)


@extend_schema_field(OpenApiTypes.STR)
class UserRefField(_RefField):
    """``u_…`` on the wire, a UserId inside."""

    parse = staticmethod(ids.parse_user)
    render = staticmethod(ids.user_ref)


def conversation_of(ref: str) -> ConversationId:
    """Return the id in a path. Raises NotFound: a malformed one is an absent one."""
    try:
        return ids.parse_conversation(ref)
    except ids.InvalidId:
        raise NotFound("no such conversation") from None


def message_of(ref: str) -> tuple[ConversationId, MessageId]:
    """Return the ids in a path. Raises NotFound: a malformed one is an absent one."""
    try:
        return ids.parse_server_id(ref)
    except ids.InvalidId:
        raise NotFound("no such message") from None


def user_of(ref: str) -> UserId:
    """Return the id in a path. Raises NotFound: a malformed one is an absent one."""
    try:
        return ids.parse_user(ref)
    except ids.InvalidId:
        raise NotFound("no such member") from None


def limit_of(request: Request, *, default: int) -> int:
    """Return the page size asked for. Raises InvalidInput: not a number of 1 to ``max_page``."""
    text = request.query_params.get("limit")
    if text is None:
        return default
    most = container.limits().max_page
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= most):
        raise InvalidInput(f"limit must be a whole number of 1 to {most}")
    return int(text)


def cursor_of(request: Request, name: str) -> str | None:
    """Return a cursor parameter; an empty one is none."""
    return request.query_params.get(name) or None


def flag_of(request: Request, name: str) -> bool:
    """Return a parameter that is ``true`` or ``false``, which it is without it. Raises InvalidInput: something else."""
    text = request.query_params.get(name, "false")
    if text not in ("true", "false"):
        raise InvalidInput(f"{name} must be true or false")
    return text == "true"


def time_of(request: Request, name: str) -> datetime:
    """Return a parameter that is a moment with its zone. Raises InvalidInput: absent, or something else."""
    text = request.query_params.get(name, "")
    try:
        # A plus that was not escaped came as a space.
        found = datetime.fromisoformat(text.replace(" ", "+"))
        if found.tzinfo is None:
            raise ValueError
        # Years 1 and 9999 are out of reach in some zones.
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{name} must be a time with its zone, such as 2026-03-01T00:00:00Z") from None


def me(request: Request) -> UserId:
    """Return who asks. The permission class has seen to it that somebody does."""
    return UserId(int(request.user.pk or 0))
