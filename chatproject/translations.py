"""The words of the interface in other languages: found in the sources, kept in ``locale/``, made into what runs.

English is the source and the key. ``locale/<language>/LC_MESSAGES/django.po`` has what the server says and
``djangojs.po`` what the page's scripts say (docs/i18n.md). Nothing here needs GNU gettext. ``manage.py translations``
brings the catalogues into step with the sources; what the server reads is compiled when it starts.
"""

import ast
import json
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LOCALE: Final = ROOT / "locale"
SCRIPTS: Final = ROOT / "static" / "js" / "i18n"
#: The server's words, and those of the page's scripts.
DOMAINS: Final = ("django", "djangojs")
#: Folder of each language -> its code, and which plurals it has (gettext's notation, in the order of CLDR).
LANGUAGES: Final = {
    "de": ("de", "nplurals=2; plural=(n != 1);"),
    "es": ("es", "nplurals=2; plural=(n != 1);"),
    "ar": (
        "ar",
        "nplurals=6; plural="
        "n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 && n%100<=99 ? 4 : 5;",
    ),
    "zh_Hans": ("zh-hans", "nplurals=1; plural=0;"),
}

#: Of staff, and in English: the admin pages have Django's own translations.
_STAFF: Final = ("templates/admin/", "templates/compliance/", "templates/messaging/")
_STRING: Final = r'"((?:[^"\\]|\\.)*)"'
_JS_ONE: Final = re.compile(rf"(?<![\w$.#])_\(\s*{_STRING}")
_JS_SEVERAL: Final = re.compile(rf"(?<![\w$.#])n\(\s*{_STRING},\s*{_STRING}")
_LITERAL: Final = r"""u?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_TEMPLATE_ONE: Final = re.compile(rf"(?:\bgettext|(?<![\w])_)\(\s*({_LITERAL})\s*\)")
_TEMPLATE_SEVERAL: Final = re.compile(rf"\bngettext\(\s*({_LITERAL}),\s*({_LITERAL})")
_PYTHON_ONE: Final = {"_", "gettext", "gettext_lazy", "gettext_noop"}
_PYTHON_SEVERAL: Final = {"ngettext", "ngettext_lazy"}
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}|%\((\w+)\)[sd]")


@dataclass(frozen=True, order=True, slots=True)
class Message:
    """A text as the sources have it; ``several`` is its plural, or empty."""

    one: str
    several: str = ""


@dataclass(slots=True)
class Catalogue:
    """What a language has for each text: its forms, a single one where the text has no plural."""

    path: Path
    plurals: str
    texts: dict[Message, list[str]] = field(default_factory=dict)

    @property
    def forms(self) -> int:
        """How many forms a plural has."""
        return int(self.plurals.removeprefix("nplurals=").split(";")[0])


# --- what the sources have ------------------------------------------------------------------------


def in_scripts() -> set[Message]:
    """Return what the page's scripts say."""
    found = set()
    for path in (ROOT / "static" / "js").rglob("*.js"):
        if path.parent == SCRIPTS:
            continue
        text = path.read_text()
        found |= {Message(_js(one)) for one in _JS_ONE.findall(text)}
        found |= {Message(_js(one), _js(several)) for one, several in _JS_SEVERAL.findall(text)}
    return found


def _js(literal: str) -> str:
    text: str = json.loads(f'"{literal}"')
    return text


def in_server() -> set[Message]:
    """Return what templates and Python say."""
    return _in_templates() | _in_python()


def templates() -> Iterator[Path]:
    """Yield the templates that people other than staff see."""
    for path in sorted((ROOT / "templates").rglob("*")):
        if path.is_file() and not path.relative_to(ROOT).as_posix().startswith(_STAFF):
            yield path


def _in_templates() -> set[Message]:
    # Not at the top: settings compile catalogues, and may not import what needs them.
    from django.utils.translation.template import templatize

    found = set()
    for path in templates():
        text = templatize(path.read_text(), origin=str(path))
        found |= {Message(ast.literal_eval(one)) for one in _TEMPLATE_ONE.findall(text)}
        found |= {
            Message(ast.literal_eval(one), ast.literal_eval(several))
            for one, several in _TEMPLATE_SEVERAL.findall(text)
        }
    return found


def _in_python() -> set[Message]:
    found = set()
    for package in ("accounts", "chatproject", "messaging", "push"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            if "gettext" in text:
                found |= set(_calls(ast.parse(text)))
    return found


def _calls(tree: ast.AST) -> Iterator[Message]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        texts = [it.value for it in node.args if isinstance(it, ast.Constant) and isinstance(it.value, str)]
        if node.func.id in _PYTHON_ONE and texts:
            yield Message(texts[0])
        elif node.func.id in _PYTHON_SEVERAL and len(texts) > 1:
            yield Message(texts[0], texts[1])


def sources() -> dict[str, set[Message]]:
    """Return for each domain what the sources have."""
    return {"django": in_server(), "djangojs": in_scripts()}


# --- catalogues -----------------------------------------------------------------------------------

_LINE: Final = re.compile(r'(?:(msgid|msgid_plural|msgstr|msgstr\[\d+\]) )?"(.*)"$')


def read(language: str, domain: str) -> Catalogue:
    """Return a language's catalogue, empty where there is no file yet. Raises ValueError for a line out of place."""
    path = LOCALE / language / "LC_MESSAGES" / f"{domain}.po"
    catalogue = Catalogue(path, LANGUAGES[language][1])
    if not path.exists():
        return catalogue
    for block in path.read_text().split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            match = _LINE.match(line)
            if match is None:
                raise ValueError(f"{path}: {line!r}")
            name = match[1] or name
            fields[name] = fields.get(name, "") + _unquoted(match[2])
        if fields.get("msgid"):
            forms = [text for key, text in fields.items() if key.startswith("msgstr")]
            catalogue.texts[Message(fields["msgid"], fields.get("msgid_plural", ""))] = forms
    return catalogue


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def _header(catalogue: Catalogue) -> str:
    return f"Content-Type: text/plain; charset=UTF-8\nPlural-Forms: {catalogue.plurals}\n"


def write(catalogue: Catalogue) -> None:
    """Write a catalogue's file, in the order of the texts: what two people add seldom lies beside each other."""
    blocks = [f'msgid ""\nmsgstr {_quoted(_header(catalogue))}']
    for message, forms in sorted(catalogue.texts.items()):
        lines = [f"msgid {_quoted(message.one)}"]
        if message.several:
            lines.append(f"msgid_plural {_quoted(message.several)}")
            lines += [f"msgstr[{at}] {_quoted(text)}" for at, text in enumerate(forms)]
        else:
            lines.append(f"msgstr {_quoted(forms[0])}")
        blocks.append("\n".join(lines))
    catalogue.path.parent.mkdir(parents=True, exist_ok=True)
    catalogue.path.write_text("\n\n".join(blocks) + "\n")


def in_step(language: str, domain: str, wanted: set[Message]) -> Catalogue:
    """Return a language's catalogue with just what the sources have; what is new is empty."""
    catalogue = read(language, domain)
    empty = {message: [""] * (catalogue.forms if message.several else 1) for message in wanted}
    catalogue.texts = {message: catalogue.texts.get(message, empty[message]) for message in wanted}
    return catalogue


def problems(catalogue: Catalogue, wanted: set[Message]) -> list[str]:
    """Return what is wrong with a catalogue, a sentence each.

    It must have every text, in every form, with the same placeholders and no markup of its own.
    """
    told = [f"no translation of {message.one!r}" for message in sorted(wanted - catalogue.texts.keys())]
    told += [f"nothing says {message.one!r} any more" for message in sorted(catalogue.texts.keys() - wanted)]
    for message, forms in sorted(catalogue.texts.items()):
        if len(forms) != (catalogue.forms if message.several else 1) or not all(text.strip() for text in forms):
            told.append(f"an empty or missing form of {message.one!r}")
            continue
        # A form of one or two may say the number in words.
        needed = _placeholders(message.one) | _placeholders(message.several)
        free = {"count"} if message.several else set()
        for text in forms:
            if _placeholders(text) - free != needed - free or _placeholders(text) - needed:
                told.append(f"other placeholders than in {message.one!r}: {text!r}")
            if set('<>"&') & set(text) - set(message.one):
                told.append(f"markup that {message.one!r} has not: {text!r}")
    return [f"{catalogue.path.relative_to(ROOT)}: {it}" for it in told]


def _placeholders(text: str) -> set[str]:
    return {js or python for js, python in _PLACEHOLDER.findall(text)}


# --- what runs ------------------------------------------------------------------------------------


def script(language: str, catalogue: Catalogue) -> str:
    """Return the module by which a page learns a language."""
    lines = [
        json.dumps(message.one, ensure_ascii=False)
        + ": "
        + json.dumps(forms if message.several else forms[0], ensure_ascii=False)
        + ",\n"
        for message, forms in sorted(catalogue.texts.items())
    ]
    source = f"locale/{language}/LC_MESSAGES/djangojs.po"
    head = f"// Made of {source} by `manage.py translations`; see docs/i18n.md.\n"
    imports = 'import { learn } from "../i18n.js";\nimport { said } from "../refusals.js";\n\n'
    return f"{head}{imports}learn({{\n{''.join(lines)}}}, said);\n"


def script_path(language: str) -> Path:
    """Return where that module lies."""
    return SCRIPTS / f"{LANGUAGES[language][0]}.js"


def compiled(catalogue: Catalogue) -> bytes:
    """Return a catalogue as gettext reads it (the format of ``.mo`` files)."""
    texts = {"": _header(catalogue)}
    for message, forms in catalogue.texts.items():
        if all(forms):
            key = f"{message.one}\0{message.several}" if message.several else message.one
            texts[key] = "\0".join(forms)
    pairs = sorted((key.encode(), text.encode()) for key, text in texts.items())
    start = 7 * 4 + 16 * len(pairs)
    keys = b"".join(key + b"\0" for key, _ in pairs)
    tables: list[list[int]] = [[], []]
    at = [start, start + len(keys)]
    for pair in pairs:
        for side in (0, 1):
            tables[side] += [len(pair[side]), at[side]]
            at[side] += len(pair[side]) + 1
    head = [0x950412DE, 0, len(pairs), 7 * 4, 7 * 4 + 8 * len(pairs), 0, 0]
    numbers = [*head, *tables[0], *tables[1]]
    return struct.pack(f"<{len(numbers)}I", *numbers) + keys + b"".join(text + b"\0" for _, text in pairs)


def compile_into(folder: Path) -> None:
    """Compile the server's catalogues into a folder, those that have changed. Safe in several processes at once."""
    for language in LANGUAGES:
        source = LOCALE / language / "LC_MESSAGES" / "django.po"
        target = folder / language / "LC_MESSAGES" / "django.mo"
        if not source.exists() or (target.exists() and target.stat().st_mtime_ns == source.stat().st_mtime_ns):
            continue
        stamp = source.stat().st_mtime_ns
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f"{target.name}.{os.getpid()}")
        fresh.write_bytes(compiled(read(language, "django")))
        # The time of what it was made of, whichever way that has moved.
        os.utime(fresh, ns=(stamp, stamp))
        fresh.replace(target)
