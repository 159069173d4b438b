"""What a text is cut into, in any script, and where each word stands."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.domain.words import MAX_WORD_CHARS, MAX_WORDS, fold, words_of


def words(text: str) -> list[str]:
    return [word.text for word in words_of(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("don't won’t", ["dont", "wont"]),
        ("snake_case kebab-case", ["snake", "case", "kebab", "case"]),
        ("https://example.org/a?b=1", ["https", "example", "org", "a", "b", "1"]),
        ("Crème BRÛLÉE", ["creme", "brulee"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("Ёлка ёлка", ["елка", "елка"]),
        ("ﬁne ＦＵＬＬ ①", ["fine", "full", "1"]),
        ("مُحَمَّد محمد", ["محمد", "محمد"]),
        ("हिन्दी", ["हिन्दी"]),
        ("...!? 🎉", []),
        ("", []),
    ],
)
def test_words_are_folded_runs_of_letters_and_digits(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你", ["你"]),
        ("你好吗", ["你好", "好吗", "吗"]),
        ("你好。再见", ["你好", "好", "再见", "见"]),
        ("iPhone手机2台", ["iphone", "手机", "机", "2", "台"]),
        ("カタカナ", ["カタ", "タカ", "カナ", "ナ"]),
        # Half-width kana are the same letters, with their marks.
        ("ｶﾞｷﾞ", ["ガギ", "ギ"]),
        ("한국어", ["한국", "국어", "어"]),
        ("กินข้าว", ["กิน", "นข้", "ข้า", "าว", "ว"]),
        ("𠮷野家", ["𠮷野", "野家", "家"]),
    ],
)
def test_scripts_without_spaces_are_cut_into_overlapping_pairs(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_each_word_says_where_it_stands() -> None:
    text = "Où est l’été? 你好吗"
    found = [(word.text, text[word.start : word.end]) for word in words_of(text)]
    assert found == [("ou", "Où"), ("est", "est"), ("lete", "l’été"), ("你好", "你好"), ("好吗", "好吗"), ("吗", "吗")]
    first = words_of(text)[3]
    assert text[first.start : first.first_end] == "你"
    assert [word.tail for word in words_of(text)] == [False] * 5 + [True]


def test_a_mark_at_the_end_of_a_word_is_no_part_of_it() -> None:
    text = "été’ fin"
    assert [text[word.start : word.end] for word in words_of(text)] == ["été", "fin"]


def test_what_is_endless_is_cut_off() -> None:
    assert words("x" * 1000) == ["x" * MAX_WORD_CHARS]
    assert words("é" * 1000) == ["e" * MAX_WORD_CHARS]
    for text in ("a " * 20_000, "é " * 20_000, "你" * 20_000):
        assert len(words_of(text)) == MAX_WORDS


@given(st.text())
def test_any_text_has_words_at_their_places_that_a_query_would_have_too(text: str) -> None:
    found = words_of(text)
    for before, after in pairwise(found):
        assert before.start < after.start
    for word in found:
        assert 0 <= word.start < word.first_end <= word.end <= len(text)
        assert fold(text[word.start : word.end])
        # Nothing that an engine's syntax could have a meaning for.
        assert not set(word.text) & set(" '\"\\:*@&|!()<>\0")
