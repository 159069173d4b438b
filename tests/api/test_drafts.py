"""Drafts by REST: one's own, the last one kept, bounded."""

from dataclasses import replace
from typing import Any

import pytest

from messaging.unsent.models import Draft
from tests.api.conftest import Person, problem

pytestmark = pytest.mark.django_db


def keep(person: Person, conversation: str, body: str) -> Any:
    return person.put(f"conversations/{conversation}/draft", {"body": body})


def kept(person: Person) -> dict[str, str]:
    return {one["conversation"]: one["body"] for one in person.get("drafts").json()["results"]}


def test_the_last_one_stands_and_a_blank_one_is_none(ann: Person, bob: Person) -> None:
    dm, group = ann.dm(bob), ann.group(bob)
    for body in ("hel", "hello\n"):
        assert keep(ann, dm, body).status_code == 204
    keep(ann, group, "later")
    assert list(kept(ann).items()) == [(group, "later"), (dm, "hello\n")]
    assert ann.get(f"conversations/{dm}/draft").json() == {"body": "hello\n"}
    # Nobody else's affair.
    assert kept(bob) == {}
    assert bob.get(f"conversations/{dm}/draft").json() == {"body": ""}
    for _ in range(2):
        assert keep(ann, dm, "  ").status_code == 204
    assert kept(ann) == {group: "later"}


def test_only_where_one_is_a_member(ann: Person, bob: Person, cat: Person) -> None:
    group = ann.group(bob)
    problem(keep(cat, group, "hello"), 404, "not_found")
    problem(cat.get(f"conversations/{group}/draft"), 404, "not_found")
    keep(bob, group, "hello")
    ann.delete(f"conversations/{group}/members/{bob.ref}")
    assert kept(bob) == {}


def test_what_is_written_in_an_encrypted_conversation_is_not_kept(ann: Person, bob: Person) -> None:
    body = {"type": "dm", "members": [bob.ref], "encrypted": True}
    secret = ann.post("conversations", body).json()["id"]
    problem(keep(ann, secret, "hello"), 409, "conflict")
    assert Draft.objects.count() == 0


def test_drafts_are_bounded(ann: Person, bob: Person, settings: Any) -> None:
    settings.LIMITS = replace(settings.LIMITS, max_drafts=2, max_body_bytes=5)
    talks = [ann.group(bob) for _ in range(3)]
    for talk in talks:
        keep(ann, talk, "hello")
    assert list(kept(ann)) == talks[:0:-1]
    problem(keep(ann, talks[0], "hello!"), 413, "too_large")
    problem(keep(ann, talks[0], "x\x00"), 400, "invalid")
