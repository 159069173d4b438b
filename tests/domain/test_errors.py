"""The one tree of errors: each with a code of its own, a status, a place in the docstring and a row in the protocol."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from rest_framework import exceptions

from messaging.api import problems
from messaging.domain import errors
from messaging.domain.connection import error_reply
from messaging.domain.errors import ChatError, CloseCode

PAGE = (Path(settings.BASE_DIR) / "docs" / "protocol.md").read_text()


def _tree(base: type[ChatError]) -> list[type[ChatError]]:
    return [base, *(leaf for child in base.__subclasses__() for leaf in _tree(child))]


TREE = _tree(ChatError)
every_error = pytest.mark.parametrize("error", TREE, ids=[error.__name__ for error in TREE])


def _rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading of the protocol page, its first two lines aside."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_all_errors_are_in_one_module() -> None:
    assert {error.__module__ for error in TREE} == {errors.__name__}


def test_codes_are_never_used_twice() -> None:
    codes = [error.code for error in TREE]
    assert sorted(set(codes)) == sorted(codes)
    assert all(re.fullmatch("[a-z_]+", code) for code in codes)


@every_error
def test_an_error_has_a_code_of_its_own(error: type[ChatError]) -> None:
    assert "code" in vars(error), "an inherited code would be its parent's"
    assert "title" in vars(error)


def test_the_protocol_has_a_row_for_each_and_no_other() -> None:
    rows = {cells[0].strip("`"): cells for cells in _rows("Errors")}
    assert rows.keys() == {error.code for error in TREE}
    for error in TREE:
        assert rows[error.code][1] == str(error.http_status)


@every_error
def test_the_protocol_says_whether_to_try_again(error: type[ChatError]) -> None:
    [advice] = [cells[3] for cells in _rows("Errors") if cells[0] == f"`{error.code}`"]
    final = advice == "no" or advice.startswith("after signing in")
    assert error.temporary is not final or error is ChatError


@every_error
def test_the_modules_drawing_has_it(error: type[ChatError]) -> None:
    drawing = errors.__doc__ or ""
    assert re.search(rf"\b{error.__name__}\b", drawing)
    assert error is ChatError or re.search(rf"{error.__name__} +{error.code} ", drawing)


@every_error
def test_it_is_a_problem_of_its_status_over_http(error: type[ChatError]) -> None:
    answer: Any = problems.exception_handler(error("a detail", retry_after=1.2), {})
    assert (answer.status_code, answer.content_type) == (error.http_status, "application/problem+json")
    assert answer.data == {
        "type": "about:blank",
        "title": error.title,
        "status": error.http_status,
        "detail": "a detail",
        "code": error.code,
        "retry_after": 1.2,
    }
    assert answer["Retry-After"] == "2"


@every_error
def test_it_is_an_error_frame_of_its_code_on_the_socket(error: type[ChatError]) -> None:
    frame: Any = error_reply(error("a detail", retry_after=1.2)).frame
    assert (frame.code, frame.detail, frame.msg_id, frame.retry_after) == (error.code, "a detail", None, 1.2)


@every_error
def test_without_a_detail_its_title_is_one(error: type[ChatError]) -> None:
    assert error().detail == str(error()) == error.title != ""


def test_only_the_servers_own_errors_are_a_500() -> None:
    assert [error for error in TREE if error.http_status >= 500] == [ChatError, errors.Unavailable]


def test_what_the_framework_refuses_has_one_of_these_codes_or_one_of_https_own() -> None:
    known = {error.code for error in TREE} | {"method_not_allowed", "not_acceptable", "unsupported_media_type"}
    kinds = [kind for kind in vars(exceptions).values() if isinstance(kind, type)]
    refusals = [kind for kind in kinds if issubclass(kind, exceptions.APIException)]
    assert len(refusals) > 8
    for kind in refusals:
        arguments = {exceptions.MethodNotAllowed: ["PUT"], exceptions.UnsupportedMediaType: ["a/b"]}.get(kind, [])
        answer: Any = problems.exception_handler(kind(*arguments), {})
        assert answer.status_code == kind.status_code
        assert answer.data["code"] in known
        if kind is not exceptions.APIException:
            assert answer.data["code"] != ChatError.code


# --- close codes ----------------------------------------------------------------------------------

CLOSE_CODES = {name: value for name, value in vars(CloseCode).items() if not name.startswith("_")}


def test_close_codes_are_never_used_twice() -> None:
    assert len(set(CLOSE_CODES.values())) == len(CLOSE_CODES)


def test_the_protocol_has_every_close_code_and_no_other() -> None:
    told = {int(code) for cells in _rows("Close codes") for code in cells[0].split(",")}
    assert told == set(CLOSE_CODES.values())


def test_the_range_of_a_close_code_says_whether_to_come_back() -> None:
    for codes, _, advice in _rows("Close codes"):
        for code in map(int, codes.split(",")):
            assert (4400 <= code < 4450) == advice.startswith("no"), code
