"""What is typed into the search box means this, and this is what of a text is shown."""

from datetime import date

import pytest

from messaging.domain.errors import InvalidInput
from messaging.domain.search import SNIPPET_CHARS, Asked, Has, Term, has_link, matches, read_query, snippet


def test_words_go_on_and_phrases_end() -> None:
    assert read_query('Hel "New York" a').terms == (
        Term(("hel",), prefix=True),
        Term(("new", "york"), prefix=False),
        # Too many words begin with one letter.
        Term(("a",), prefix=False),
    )


def test_what_is_written_together_stands_together() -> None:
    assert read_query("example.org/a").terms == (Term(("example", "org", "a"), prefix=False),)
    assert read_query("e-mail").terms == (Term(("e", "mail"), prefix=True),)


def test_a_script_without_spaces_asks_for_a_stretch() -> None:
    assert read_query("你好吗").terms == (Term(("你好", "好吗"), prefix=True),)
    assert read_query('"好"').terms == (Term(("好",), prefix=True),)


def test_operators_are_read() -> None:
    asked = read_query('From:@Ann in:"Lake weekend" before:2027-02-01 after:2027-01-01 has:LINK has:file pancakes')
    assert asked == Asked(
        terms=(Term(("pancakes",), prefix=True),),
        senders=("@Ann",),
        places=("Lake weekend",),
        before=(date(2027, 2, 1),),
        after=(date(2027, 1, 1),),
        has=frozenset({Has.LINK, Has.FILE}),
    )


def test_an_operator_that_is_being_typed_asks_for_nothing_yet() -> None:
    assert read_query('from: in:"" has: "') == Asked()


def test_what_only_looks_like_an_operator_is_words() -> None:
    assert read_query("re:zero").terms == (Term(("re", "zero"), prefix=True),)
    assert read_query("12:30").terms == (Term(("12", "30"), prefix=True),)


@pytest.mark.parametrize(
    "text", ["before:tomorrow", "after:2027-02-30", "after:2027-2-3", "has:nothing", "x" * 301, "a " * 21]
)
def test_what_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_query(text)


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        ("Hello, hello World", "hel", "[Hello], [hello] World"),
        ("Hello World", "wor hello", "[Hello] [World]"),
        ("New York, York New", '"new york"', "[New York], York New"),
        ("Yorkshire", '"york"', None),
        ("nothing of it", "else", None),
        ("hello only", "hello world", None),
        ("Crème brûlée", "creme", "[Crème] brûlée"),
        ("我今天很好吗", "很好", "我今天[很好]吗"),
        ("我今天很好吗", "好", "我今天很[好]吗"),
        ("我今天很好", "好", "我今天很[好]"),
        ("很不好", "很好", None),
        ("ﾃｽﾄです", "テスト", "[ﾃｽﾄ]です"),
        ("go to example.org/b now", "example.org", "go to [example.org]/b now"),
    ],
)
def test_a_text_is_meant_if_all_terms_are_in_it(text: str, query: str, marked: str | None) -> None:
    spans = matches(text, read_query(query).terms)
    if spans is None:
        assert marked is None
        return
    assert "".join(f"[{it.text}]" if it.match else it.text for it in snippet(text, spans)) == marked


def test_a_snippet_is_short_and_has_the_first_match() -> None:
    text = "word " * 100 + "needle " + "word " * 100
    spans = matches(text, read_query("needle").terms)
    assert spans is not None
    pieces = snippet(text, spans)
    assert [it.text for it in pieces if it.match] == ["needle"]
    assert pieces[0].text == pieces[-1].text == "…"
    assert pieces[1].text.startswith("word ")
    assert sum(len(it.text) for it in pieces) <= SNIPPET_CHARS + 2


def test_a_snippet_without_a_match_is_the_beginning() -> None:
    assert [(it.text, it.match) for it in snippet("short", [])] == [("short", False)]
    assert snippet("", []) == []


def test_a_link_is_an_address() -> None:
    assert has_link("see HTTPS://example.org")
    assert not has_link("https:// is a scheme")
