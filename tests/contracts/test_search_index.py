"""What every SearchIndex promises. Another adapter plugs in by one more entry in FACTORIES."""

from collections.abc import Callable
from itertools import count

import pytest

from messaging.adapters.embedded.search import SqliteSearchIndex
from messaging.adapters.orm.search import PostgresSearchIndex
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.search import Has, Query, Scope, read_query
from messaging.domain.words import MAX_WORDS, words_of
from messaging.ports import MessageRef, SearchEntry, SearchIndex

HERE, THERE, ELSEWHERE = ConversationId(1 << 60), ConversationId(2), ConversationId(3)
ANN, BOB = UserId(11), UserId(12)
ALL = (Scope(HERE, MessageId(0)), Scope(THERE, MessageId(0)))

FACTORIES: dict[str, Callable[[pytest.FixtureRequest], SearchIndex]] = {
    "sqlite": lambda request: SqliteSearchIndex(request.getfixturevalue("tmp_path") / "search.sqlite3"),
    "orm-postgresql": lambda request: PostgresSearchIndex(request.getfixturevalue("postgresql_search")),
}


@pytest.fixture
def postgresql_search(postgresql: str) -> str:
    from django.db import connections

    with connections[postgresql].cursor() as cursor:
        cursor.execute("TRUNCATE search_entries")
    return postgresql


@pytest.fixture(params=FACTORIES)
def index(request: pytest.FixtureRequest) -> SearchIndex:
    return FACTORIES[request.param](request)


_ids = count((1 << 62) + 1)


def entry(
    text: str,
    *,
    at: ConversationId = HERE,
    message: int | None = None,
    sender: UserId = ANN,
    has: frozenset[Has] = frozenset(),
) -> SearchEntry:
    words = tuple(word.text for word in words_of(text))
    return SearchEntry(at, MessageId(message or next(_ids)), sender, words, has)


def ref(it: SearchEntry) -> MessageRef:
    return it.conversation_id, it.message_id


def put(index: SearchIndex, *entries: SearchEntry) -> list[MessageRef]:
    index.put(entries)
    return [ref(it) for it in entries]


def find(index: SearchIndex, text: str, scopes: tuple[Scope, ...] = ALL, **more: object) -> list[MessageRef]:
    return index.find(scopes, Query(terms=read_query(text).terms, **more), limit=100)  # type: ignore[arg-type]


def test_all_terms_have_to_be_there_in_any_order(index: SearchIndex) -> None:
    both, one, _ = put(index, entry("the quick brown fox"), entry("a fox, quick"), entry("quick brown dogs"))
    assert find(index, "fox quick") == [one, both]
    assert find(index, "nothing") == []


def test_a_word_may_go_on_and_a_phrase_may_not(index: SearchIndex) -> None:
    longer, exact = put(index, entry("new yorkshire pudding"), entry("in New York, today"))
    assert find(index, "yor") == [exact, longer]
    assert find(index, "new yor") == [exact, longer]
    assert find(index, '"new york"') == [exact]
    assert find(index, '"york new"') == []


@pytest.mark.parametrize("query", ["很", "很好", "今天很好", '"今天"', "天很"])
def test_a_stretch_of_a_script_without_spaces_is_found(index: SearchIndex, query: str) -> None:
    wanted, _ = put(index, entry("我今天很好，谢谢 you"), entry("天今 好很谢"))
    assert find(index, query, (Scope(HERE, MessageId(0)),))[-1:] == [wanted]
    if query != "很":
        assert find(index, query) == [wanted]


def test_words_that_look_like_syntax_are_words(index: SearchIndex) -> None:
    (wanted,) = put(index, entry("NOT near OR and it's 100% \"a*b\" '; --"))
    for query in ("not", "near", "OR and", "it's", "100", "a*b"):
        assert find(index, query) == [wanted], query


def test_only_what_the_scopes_hold_is_found(index: SearchIndex) -> None:
    old, new, newest = put(index, entry("hello"), entry("hello"), entry("hello"))
    (other,) = put(index, entry("hello", at=THERE))
    put(index, entry("hello", at=ELSEWHERE))
    assert find(index, "hello") == [other, newest, new, old]
    assert find(index, "hello", (Scope(HERE, old[1]),)) == [newest, new]
    assert find(index, "hello", (Scope(HERE, MessageId(0), new[1]),)) == [new, old]
    assert find(index, "hello", (Scope(HERE, old[1], new[1]), Scope(THERE, other[1]))) == [new]
    assert find(index, "hello", ()) == []


def test_filters_hold_with_words_and_without(index: SearchIndex) -> None:
    link = entry("hello there", has=frozenset({Has.LINK}))
    picture = entry("hello", sender=BOB, has=frozenset({Has.FILE, Has.IMAGE}))
    plain = entry("hello", at=THERE)
    put(index, link, picture, plain)
    for text in ("hello", ""):
        assert find(index, text, has=frozenset({Has.LINK})) == [ref(link)]
        assert find(index, text, has=frozenset({Has.FILE, Has.IMAGE})) == [ref(picture)]
        assert find(index, text, has=frozenset({Has.LINK, Has.FILE})) == []
        assert find(index, text, sender=BOB) == [ref(picture)]
        assert find(index, text, without=frozenset({ANN})) == [ref(picture)]
        assert find(index, text, after=link.message_id) == [ref(plain), ref(picture)]
        assert find(index, text, before=plain.message_id) == [ref(picture), ref(link)]
        assert find(index, text) == [ref(plain), ref(picture), ref(link)]


def test_pages_follow_each_other_without_gap_or_repeat(index: SearchIndex) -> None:
    # Ids of different conversations may be equal.
    same = next(_ids)
    put(
        index, *(entry("hello") for _ in range(5)), entry("hello", message=same), entry("hello", at=THERE, message=same)
    )
    everything = find(index, "hello")
    assert everything == sorted(everything, key=lambda it: (it[1], it[0]), reverse=True)
    pages: list[MessageRef] = []
    before: MessageRef | None = None
    while page := index.find(ALL, Query(terms=read_query("hello").terms), before=before, limit=2):
        pages += page
        before = page[-1]
    assert pages == everything
    assert len(everything) == 7


def test_putting_again_replaces(index: SearchIndex) -> None:
    first = entry("before the edit", has=frozenset({Has.LINK}))
    put(index, first)
    second = entry("afterwards", message=first.message_id)
    for _ in range(2):
        put(index, second)
    assert find(index, "edit") == []
    assert find(index, "afterwards") == [ref(second)]
    assert find(index, "afterwards", has=frozenset({Has.LINK})) == []


def test_what_is_removed_is_gone_and_may_be_removed_again(index: SearchIndex) -> None:
    going, staying = put(index, entry("hello"), entry("hello"))
    for _ in range(2):
        index.remove([going, (ELSEWHERE, MessageId(5))])
    assert find(index, "hello") == [staying]
    index.remove([])
    index.put([])


def test_a_conversation_is_forgotten_in_part_or_as_a_whole(index: SearchIndex) -> None:
    _, new = put(index, entry("hello"), entry("hello"))
    (other,) = put(index, entry("hello", at=THERE))
    index.forget(HERE, before=new[1])
    assert find(index, "hello") == [other, new]
    index.forget(HERE)
    assert find(index, "hello") == [other]
    index.forget(ELSEWHERE)


def test_a_long_text_is_searched_to_its_end(index: SearchIndex) -> None:
    (wanted,) = put(index, entry("word " * (MAX_WORDS - 2) + "last needle"))
    assert find(index, '"last needle"') == [wanted]


def test_somebody_with_many_conversations_is_answered(index: SearchIndex) -> None:
    scopes = tuple(Scope(ConversationId(number), MessageId(0)) for number in range(100, 1_100))
    put(index, *(entry("hello", at=scope.conversation_id) for scope in scopes))
    assert len(find(index, "hello", scopes)) == 100
    assert len(find(index, "hel", scopes[:3])) == 3
