"""What people find: only what they may read, as it is now."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache

from accounts.models import Block
from chatproject import container
from messaging.adapters.embedded.search import SqliteSearchIndex
from messaging.domain import ids
from messaging.domain.search import MAX_QUERY_CHARS
from messaging.search import selectors
from tests.api.conftest import Person, problem
from tests.media.objects import ready
from tests.search.conftest import found

pytestmark = pytest.mark.django_db
Settle = Callable[[], Any]


@pytest.fixture
def talk(ann: Person, bob: Person, cat: Person, settle: Settle) -> str:
    """A group of Ann's and Bob's, with a few words in it; Cat is a stranger with a chat of her own."""
    conv = ann.group(bob, name="Lake weekend")
    ann.say(conv, "We bring pancakes and a canoe")
    bob.say(conv, "Canoe for two, see https://example.org/boats")
    cat.say(cat.dm(bob), "My canoe is secret")
    settle()
    return conv


def test_words_are_found_newest_first_and_marked(ann: Person, bob: Person, talk: str) -> None:
    assert found(ann, "canoe") == [
        "[Canoe] for two, see https://example.org/boats",
        "We bring pancakes and a [canoe]",
    ]
    assert found(ann, "CAN panc") == ["We bring [pancakes] and a [canoe]"]
    assert found(ann, '"a canoe"') == ["We bring pancakes and [a canoe]"]
    assert found(ann, "kayak") == []
    assert found(bob, "secret") == ["My canoe is [secret]"]


def test_a_hit_says_where_it_is(ann: Person, bob: Person, talk: str) -> None:
    hit = ann.get("search", q="example.org").json()["results"][0]
    assert (hit["conv"], hit["from"], hit["edited_at"], hit["media"]) == (talk, bob.ref, None, [])
    assert ann.get(f"messages/{hit['server_id']}").json()["ts"] == hit["ts"]


def test_text_of_scripts_without_spaces_is_found(ann: Person, bob: Person, talk: str, settle: Settle) -> None:
    ann.say(talk, "我们周末去湖边露营")
    bob.say(talk, "週末はカヌーに乗ります")
    bob.say(talk, "สุดสัปดาห์นี้ไปทะเลสาบ")
    settle()
    assert found(ann, "湖") == ["我们周末去[湖]边露营"]
    assert found(ann, "露营") == ["我们周末去湖边[露营]"]
    assert found(ann, "周末去湖边") == ["我们[周末去湖边]露营"]
    assert found(ann, "カヌー") == ["週末は[カヌー]に乗ります"]
    assert found(ann, "ทะเลสาบ") == ["สุดสัปดาห์นี้ไป[ทะเลสาบ]"]
    assert found(ann, "周露") == []


# --- whose -----------------------------------------------------------------------------------------


def test_a_stranger_finds_nothing(cat: Person, talk: str) -> None:
    assert found(cat, "pancakes") == []
    assert found(cat, "canoe") == ["My [canoe] is secret"]


def test_a_strangers_conversation_is_one_that_is_not_there(ann: Person, cat: Person, talk: str) -> None:
    problem(cat.get("search", q="canoe", **{"in": talk}), 404, "not_found")
    problem(cat.get("search", q=f"canoe in:{talk}"), 404, "not_found")
    problem(cat.get("search", q="canoe", **{"in": ids.conversation_ref(5)}), 404, "not_found")
    assert found(ann, "canoe", **{"in": talk}) != []


def test_nobody_finds_by_a_cursor_of_somebody_else(ann: Person, bob: Person, cat: Person, talk: str) -> None:
    cursor = ann.get("search", q="canoe", limit=1).json()["next"]
    assert cursor
    for other in (bob, cat):
        problem(other.get("search", q="canoe", cursor=cursor), 400, "invalid")


def test_who_is_signed_out_finds_nothing(ann: Person, talk: str) -> None:
    ann.client.force_authenticate(user=None)
    problem(ann.get("search", q="canoe"), 401, "unauthenticated")


def test_a_new_member_finds_nothing_from_before(ann: Person, cat: Person, talk: str, settle: Settle) -> None:
    ann.post(f"conversations/{talk}/members", {"members": [cat.ref]})
    ann.say(talk, "Welcome to the canoe, Cat")
    settle()
    assert found(cat, "canoe", **{"in": talk}) == ["Welcome to the [canoe], Cat"]
    assert len(found(ann, "canoe")) == 3


def test_a_former_member_finds_what_there_was_up_to_the_leaving(
    ann: Person, bob: Person, talk: str, settle: Settle
) -> None:
    ann.delete(f"conversations/{talk}/members/{bob.ref}")
    settle()
    ann.say(talk, "Without Bob the canoe is lighter")
    settle()
    assert len(found(ann, "canoe")) == 3
    assert found(bob, "canoe", **{"in": talk}) == [
        "[Canoe] for two, see https://example.org/boats",
        "We bring pancakes and a [canoe]",
    ]
    assert found(bob, "lighter", **{"in": talk}) == []
    assert found(bob, "pancakes") == [], "it is none of his conversations any more"


def test_whom_one_has_blocked_one_does_not_find(ann: Person, bob: Person, talk: str) -> None:
    Block.objects.create(owner=ann.user, target=bob.user)
    assert found(ann, "canoe") == ["We bring pancakes and a [canoe]"]
    assert found(ann, "from:bob canoe") == []
    assert len(found(bob, "canoe", **{"in": talk})) == 2, "of the other he finds what he may read"


def test_what_is_encrypted_is_not_looked_at(ann: Person, bob: Person, settle: Settle) -> None:
    body = {"type": "group", "members": [bob.ref], "name": "Sealed", "encrypted": True}
    conv = ann.post("conversations", body).json()["id"]
    ann.say(conv, "ciphertext")
    settle()
    assert found(ann, "ciphertext") == []
    assert found(ann, "ciphertext", **{"in": conv}) == []
    shown = [selectors.Scope(ids.parse_conversation(conv), ids.MessageId(0))]
    assert container.search_index().find(shown, selectors.Query(), limit=5) == []


def test_what_the_index_wrongly_holds_is_not_shown(ann: Person, bob: Person, talk: str, settle: Settle) -> None:
    """The index is behind: nothing is told it of what happens here."""
    index, real = container.search_index(), container.search_index().find
    message = ann.say(talk, "a walrus").json()["server_id"]
    gone = ann.say(talk, "another walrus").json()["server_id"]
    settle()
    ann.patch(f"messages/{message}", {"msg_id": str(uuid4()), "body": "a seal"})
    ann.delete(f"messages/{gone}")
    stale = [ids.parse_server_id(it) for it in (gone, message)]
    settle()
    index.find = lambda *args, before=None, **more: stale if before is None else []  # type: ignore[method-assign]
    assert found(ann, "walrus") == []
    assert found(ann, "seal") == ["a [seal]"]
    index.find = real  # type: ignore[method-assign]


# --- filters ---------------------------------------------------------------------------------------


def test_operators_and_parameters_narrow_it_down(ann: Person, bob: Person, talk: str) -> None:
    mine, bobs = "We bring pancakes and a [canoe]", "[Canoe] for two, see https://example.org/boats"
    for name in ("bob", "@Bob", bob.ref):
        assert found(ann, f"canoe from:{name}") == [bobs]
        assert found(ann, "canoe", **{"from": name}) == [bobs]
    assert found(ann, "canoe from:me") == [mine]
    assert found(ann, "canoe from:nobody") == []
    assert found(ann, "canoe from:bob from:me") == []
    assert found(ann, "canoe from:bob", **{"from": "me"}) == []
    for place in (talk, "lake", '"Lake weekend"'):
        assert found(ann, f"canoe in:{place}") == [bobs, mine]
    assert found(ann, 'canoe in:"Other weekend"') == []
    assert found(bob, "canoe in:@cat") == ["My [canoe] is secret"]
    assert found(bob, "canoe in:@ann") == [], "they have no direct chat"
    assert found(bob, "canoe in:lake in:@cat") == []
    assert found(ann, "canoe has:link") == found(ann, "canoe", has="link") == [bobs]
    assert found(ann, "has:link") == ["Canoe for two, see https://example.org/boats"]
    assert found(ann, "from:me") == ["We bring pancakes and a canoe"]


def test_days_begin_where_the_reader_is(ann: Person, talk: str) -> None:
    now = datetime.now(UTC)
    today, tomorrow = now.date().isoformat(), (now + timedelta(days=1)).date().isoformat()
    assert len(found(ann, f"canoe after:{today} before:{tomorrow}")) == 2
    assert found(ann, f"canoe before:{today}") == []
    assert found(ann, f"canoe after:{tomorrow}") == []
    assert len(found(ann, "canoe", after=(now - timedelta(minutes=5)).isoformat())) == 2
    assert found(ann, "canoe", before=(now - timedelta(minutes=5)).isoformat()) == []
    # Where it is tomorrow already, what was said now was not said before tomorrow.
    minutes_left = 24 * 60 - now.hour * 60 - now.minute
    if minutes_left < 14 * 60:
        assert found(ann, f"canoe before:{tomorrow}", utc_offset=minutes_left + 1) == []


def test_files_and_pictures_are_found_by_what_they_are(ann: Person, bob: Person, talk: str, settle: Settle) -> None:
    photo, minutes = ready(ann.id, kind="image"), ready(ann.id, name="minutes.pdf")
    ann.say(talk, "The lake", media=[photo])
    ann.say(talk, "", media=[minutes])
    settle()
    assert found(bob, "has:image") == ["The lake"]
    assert found(bob, "has:file") == ["", "The lake"]
    assert found(bob, "lake has:file has:image") == ["The [lake]"]
    assert found(bob, "lake has:link") == []


def test_pages_follow_each_other(ann: Person, talk: str, settle: Settle) -> None:
    for number in range(7):
        ann.say(talk, f"number {number}")
    settle()
    pages, cursor = [], None
    while True:
        page = ann.get("search", q="number", limit=3, **({"cursor": cursor} if cursor else {})).json()
        pages.append([hit["snippet"][-1]["text"] for hit in page["results"]])
        cursor = page["next"]
        if cursor is None:
            break
    assert pages == [[" 6", " 5", " 4"], [" 3", " 2", " 1"], [" 0"]]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"q": "  ?! "},
        {"q": "in:lake"},
        {"q": "before:2027-01-01"},
        {"q": "x" * (MAX_QUERY_CHARS + 1)},
        {"q": "canoe has:gold"},
        {"q": "canoe", "has": "gold"},
        {"q": "canoe", "before": "soon"},
        {"q": "canoe", "before": "2027-13-01"},
        {"q": "canoe", "after": "2027-01-31T99:00:00Z"},
        {"q": "canoe after:0001-01-01", "utc_offset": "900"},
        {"q": "canoe", "utc_offset": "east"},
        {"q": "canoe", "cursor": "forged"},
        {"q": "canoe", "limit": "0"},
    ],
)
def test_what_cannot_be_searched_for_is_refused(ann: Person, params: dict[str, str]) -> None:
    problem(ann.get("search", **params), 400, "invalid")


def test_odd_values_find_nothing_and_break_nothing(ann: Person, talk: str) -> None:
    for q in ("canoe from:\0", "canoe in:c_nonsense", "canoe in:\0", "canoe after:9999-12-31", "canoe\0zebra"):
        assert found(ann, q) == []
    assert len(found(ann, "canoe after:0001-01-01")) == 2


def test_searches_are_bounded_in_their_number(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    from rest_framework.throttling import ScopedRateThrottle

    from messaging.search.api.views import SearchView

    monkeypatch.setattr(ScopedRateThrottle, "THROTTLE_RATES", {"search": "2/min"})
    assert SearchView.throttle_scope == "search"
    cache.clear()
    statuses = [ann.get("search", q="canoe").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


@pytest.mark.logs_errors
def test_an_index_that_is_away_is_told(ann: Person, talk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A directory cannot be opened as a file.
    with monkeypatch.context() as patched:
        patched.setattr(container, "search_index", lambda: SqliteSearchIndex(Path("/")))
        answer = problem(ann.get("search", q="canoe"), 503, "unavailable")
    assert answer["retry_after"] > 0
