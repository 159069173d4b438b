"""Every text of the interface is marked, and there in every language, with what it is to be filled with."""

import ast
import gettext
import io
import json
import re
from pathlib import Path
from typing import Final

import pytest
from django.conf import settings

from chatproject import emoji_words, translations
from chatproject.translations import DOMAINS, LANGUAGES, ROOT, Catalogue, Message

SCRIPTS: Final = sorted(path for path in (ROOT / "static" / "js").rglob("*.js") if path.parent != translations.SCRIPTS)
#: Names of keys and types, which the browser wants in English; and what people are not told.
NO_WORDS: Final = {
    "Enter", "Escape", "Esc", "Tab", "Home", "End", "Delete", "Ctrl", "Ctrl ", "Alt", "Alt ", "Shift",
    "Files", "Notification",
}  # fmt: skip


@pytest.fixture(scope="module")
def sources() -> dict[str, set[Message]]:
    return translations.sources()


def test_the_sources_have_texts(sources: dict[str, set[Message]]) -> None:
    assert Message("Reply") in sources["djangojs"]
    assert Message("{count} member", "{count} members") in sources["djangojs"]
    assert Message("Sign in") in sources["django"]
    assert Message("%(name)s mentioned you") in sources["django"]


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_there_in_every_language(language: str, domain: str, sources: dict[str, set[Message]]) -> None:
    """Where this fails, `manage.py translations` adds what is new to the catalogues; docs/i18n.md says the rest."""
    assert translations.problems(translations.read(language, domain), sources[domain]) == []


def test_a_catalogue_that_lacks_something_is_told() -> None:
    one, several = Message("Hello {name}"), Message("{count} day of {name}", "{count} days of {name}")
    catalogue = Catalogue(translations.LOCALE / "de" / "x.po", LANGUAGES["de"][1])
    catalogue.texts = {one: ["Hallo {name}"], several: ["Ein Tag von {name}", "{count} Tage von {name}"]}
    wanted = {one, several}
    assert translations.problems(catalogue, wanted) == []
    for worse in ("", "Hallo", "Hallo {nome}", "Hallo <b>{name}</b>"):
        catalogue.texts[one] = [worse]
        assert len(translations.problems(catalogue, wanted)) == 1, worse
    catalogue.texts = {several: ["Ein Tag von {name}"]}
    assert len(translations.problems(catalogue, wanted)) == 2
    assert len(translations.problems(catalogue, set())) == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_scripts_are_those_of_the_catalogues(language: str) -> None:
    made = translations.script(language, translations.read(language, "djangojs"))
    assert translations.script_path(language).read_text() == made


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_gettext_reads(language: str) -> None:
    catalogue = translations.read(language, "django")
    read = gettext.GNUTranslations(io.BytesIO(translations.compiled(catalogue)))
    for message, forms in catalogue.texts.items():
        if message.several:
            assert {read.ngettext(message.one, message.several, number) for number in range(200)} == set(forms)
        else:
            assert read.gettext(message.one) == forms[0]


def test_a_catalogue_is_compiled_when_it_has_changed(tmp_path: Path) -> None:
    translations.compile_into(tmp_path)
    made = sorted(tmp_path.rglob("*"))
    assert [path.name for path in made if path.is_file()] == ["django.mo"] * len(LANGUAGES)
    stamps = {path: path.stat().st_ino for path in made}
    translations.compile_into(tmp_path)
    assert {path: path.stat().st_ino for path in sorted(tmp_path.rglob("*"))} == stamps


def test_a_file_that_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    texts = {Message('"quoted"\n\\and\ttabbed'): ['a"b\n\\c\td'], Message("one", "several"): ["eins", "viele"]}
    catalogue = Catalogue(tmp_path / "de" / "LC_MESSAGES" / "django.po", LANGUAGES["de"][1], texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(translations, "LOCALE", tmp_path)
        translations.write(catalogue)
        assert translations.read("de", "django").texts == texts


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_emoji_has_a_name_in_every_language(language: str) -> None:
    """Where this fails, ``manage.py translations --cldr`` makes them anew; docs/i18n.md says the rest."""
    module = emoji_words.script_path(language).read_text()
    words = json.loads(module[module.index("{") :].replace(",\n};", "}"))
    assert list(words) == emoji_words.offered()
    assert all(0 < len(text.split("|")[0]) < 60 for text in words.values())
    assert len(words) > 300


def test_the_settings_offer_the_languages_that_there_are() -> None:
    assert [code for code, _ in settings.LANGUAGES] == ["en", *(code for code, _ in LANGUAGES.values())]


# --- what nobody has marked -----------------------------------------------------------------------

_TAG: Final = re.compile(r"{#.*?#}|{%.*?%}|{{.*?}}", re.DOTALL)
_MARKED: Final = re.compile(
    r"{%\s*blocktranslate.*?{%\s*endblocktranslate\s*%}|{%\s*comment.*?endcomment\s*%}", re.DOTALL
)
_ATTRIBUTE: Final = re.compile(r"""(?<![\w-])(?:aria-label|title|placeholder|alt)="([^"]*)\"""")
_ELEMENT: Final = re.compile(r"<(script|style|kbd|svg|code)\b.*?</\1>|<[^>]*>", re.DOTALL)


def unmarked_in_template(text: str) -> list[str]:
    """Return the words of a template that are not marked."""
    bare = _TAG.sub("", _MARKED.sub("", re.sub(r"{%\s*block (title|width)\s*%}", "", text)))
    said = [*_ATTRIBUTE.findall(bare), _ELEMENT.sub("", bare)]
    return [word for part in said for word in re.findall(r"[^\W\d_]{2,}", part)]


@pytest.mark.parametrize("path", list(translations.templates()), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_word_of_a_template_is_marked(path: Path) -> None:
    found = unmarked_in_template(path.read_text())
    assert [word for word in found if word not in {"UTC", "wide"}] == []


def test_a_word_that_is_not_marked_is_found_in_a_template() -> None:
    assert unmarked_in_template('<p title="{% translate "a" %}">{% translate "Hello" %} {{ name }}</p>') == []
    assert unmarked_in_template("<p>{% blocktranslate %}Hello {{ name }}{% endblocktranslate %}</p>") == []
    assert unmarked_in_template("<p>Hello {{ name }}</p>") == ["Hello"]
    assert unmarked_in_template('<input placeholder="Search">') == ["Search"]


_COMMENT: Final = re.compile(r"/\*.*?\*/|^\s*//.*?$|(?<=[;{},]) // .*?$", re.DOTALL | re.MULTILINE)
_CALL: Final = re.compile(r'(?<![\w$.#])(?:_|n)\(\s*"(?:[^"\\]|\\.)*"(?:,\s*"(?:[^"\\]|\\.)*")?')
#: A capital and small letters, alone or at the beginning of words; or several words where only people read.
_WORDS: Final = re.compile(r"^[A-Z][a-z]+(?:[ ,.…:?!].*)?$")
_SHOWN: Final = re.compile(
    r"""(?:title|placeholder|"aria-label"|textContent|alt|label)\s*[:=]\s*["`]([^"`]*[a-z]{2}[^"`]*)["`]"""
)
_TEMPLATE_TEXT: Final = re.compile(r"`([^`]*)`")


def unmarked_in_script(text: str) -> list[str]:
    """Return what a script may show to people without its being marked."""
    bare = _CALL.sub("(", _COMMENT.sub("", text))
    found = [one for one in re.findall(r'"((?:[^"\\\n]|\\.)*)"', bare) if _WORDS.match(one) and one not in NO_WORDS]
    for one in _TEMPLATE_TEXT.findall(bare):
        plain = re.sub(r"\$\{(?:[^{}]|\{[^{}]*\})*\}", "…", one)
        if (
            re.search(r"(?:^|…)[ “]*[A-Z][a-z]+ |[a-z]{2,} [a-z]{2,} [a-z]{2,}|… [a-z]{2,}(?: |$)", plain)
            and "://" not in plain
        ):
            found.append(plain)
    return found + [one for one in _SHOWN.findall(bare) if "${" not in one]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_word_of_a_script_is_marked(path: Path) -> None:
    assert unmarked_in_script(path.read_text()) == []


def test_a_word_that_is_not_marked_is_found_in_a_script() -> None:
    good = 'el("button", { title: _("Close"), className: "button quiet" }, n("{count} day", "{count} days", 3));'
    assert unmarked_in_script(good) == []
    for bad in (
        'el("p", {}, "Close")',
        'toast("It is gone.")',
        "toast(`Remove ${name}?`)",
        'el("p", { title: "go away" })',
    ):
        assert unmarked_in_script(bad), bad


def test_the_servers_sentences_that_the_page_translates_are_said_by_the_server() -> None:
    script = (ROOT / "static" / "js" / "refusals.js").read_text()
    known = re.findall(r'_\("([^"]+)"\)', script.split("SENTENCES")[1])
    assert len(known) > 20
    said = set()
    for package in ("accounts", "messaging", "push"):
        for path in (ROOT / package).rglob("*.py"):
            said |= {it.value for it in ast.walk(ast.parse(path.read_text())) if isinstance(it, ast.Constant)}
    assert [one for one in known if one not in said] == []
