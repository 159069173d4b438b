"""docs/protocol.md, chat.proto and the code say the same."""

from dataclasses import fields
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from django.conf import settings

from messaging.domain import errors, frames
from messaging.domain.limits import Limits
from messaging.protocol import chat_pb2

PAGE = (Path(settings.BASE_DIR) / "docs" / "protocol.md").read_text()
WIRE_NAMES = {"sender": "from"}


def _sections(part: str) -> dict[str, str]:
    """Return op -> text of its section, of one half of the page."""
    half = PAGE.split(f"## {part}\n")[1].split("\n## ")[0]
    return {chunk.split("`\n")[0]: chunk for chunk in half.split("### `")[1:]}


def _fields(struct: type[msgspec.Struct]) -> set[str]:
    return {WIRE_NAMES.get(name, name) for name in struct.__struct_fields__}


HALVES = [
    ("Client to server", get_args(frames.ClientFrame), chat_pb2.ClientFrame),
    ("Server to client", get_args(frames.ServerFrame), chat_pb2.ServerFrame),
]


@pytest.mark.parametrize(("part", "structs", "message"), HALVES)
def test_every_frame_is_the_same_in_all_three(
    part: str, structs: tuple[type[msgspec.Struct], ...], message: type
) -> None:
    ops = {str(struct.__struct_config__.tag): struct for struct in structs}
    proto = {field.name: field.message_type for field in message.DESCRIPTOR.oneofs_by_name["op"].fields}
    sections = _sections(part)
    assert ops.keys() == proto.keys() == sections.keys()
    for op, struct in ops.items():
        assert _fields(struct) == {field.name for field in proto[op].fields}, op
        assert [name for name in _fields(struct) if f"`{name}`" not in sections[op]] == [], op


def test_nested_messages_are_the_same() -> None:
    for struct in (frames.Event, frames.ServerLimits):
        assert _fields(struct) == {
            field.name for field in chat_pb2.DESCRIPTOR.message_types_by_name[struct.__name__].fields
        }


def _tree(base: type[errors.ChatError]) -> list[type[errors.ChatError]]:
    return [base, *(leaf for child in base.__subclasses__() for leaf in _tree(child))]


def test_every_error_has_one_code_and_stands_on_the_page() -> None:
    tree = _tree(errors.ChatError)
    assert len({error.code for error in tree}) == len(tree)
    for error in tree:
        assert f"| `{error.code}` | {error.http_status} |" in PAGE
        assert error.__doc__
        assert f"{error.__name__} " in (errors.__doc__ or "") or error is errors.ChatError


def test_every_close_code_stands_on_the_page() -> None:
    codes = [value for name, value in vars(errors.CloseCode).items() if not name.startswith("_")]
    assert [code for code in codes if f"{code}" not in PAGE.split("## Close codes")[1].split("\n## ")[0]] == []


def test_every_limit_stands_on_the_page_with_its_default() -> None:
    rows = PAGE.split("## Limits")[1]
    for field in fields(Limits):
        [row] = [line for line in rows.splitlines() if f"`{field.name}`" in line]
        assert str(field.default) in row, field.name
