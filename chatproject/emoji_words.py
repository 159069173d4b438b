"""What emoji are called in the languages of the interface, of the Unicode CLDR (docs/i18n.md).

``manage.py translations --cldr FOLDER`` makes the modules that the page's emoji picker loads. The English words are its
own (``static/js/emoji-data.js``).
"""

import json
import re
from pathlib import Path
from typing import Final

from chatproject.translations import LANGUAGES, ROOT, SCRIPTS

#: Languages whose folder in the CLDR is called otherwise.
_FOLDERS: Final = {"zh_Hans": "zh"}
_GROUP: Final = re.compile(r'^  \[_\("\w+"\)\]: "(.*)",$', re.MULTILINE)
_HEAD: Final = """\
// What emoji are called, of the Unicode CLDR {version}, by `manage.py translations --cldr`; see docs/i18n.md.
// Copyright © 2004-2024 Unicode, Inc. SPDX-License-Identifier: Unicode-3.0 (LICENSE-unicode.txt)
"""


def offered() -> list[str]:
    """Return the emoji that the picker offers."""
    groups = _GROUP.findall((ROOT / "static" / "js" / "emoji-data.js").read_text())
    return [one.split(" ")[0] for group in groups for one in group.split("|")]


def script_path(language: str) -> Path:
    """Return where the module of a language lies."""
    return SCRIPTS / f"emoji-{LANGUAGES[language][0]}.js"


def script(language: str, cldr: Path) -> str:
    """Return the module of a language: of each emoji its name, and after a stroke more words by which it is found.

    ``cldr`` is where the packages ``cldr-annotations-modern`` and ``cldr-annotations-derived-modern`` were unpacked.
    Raises OSError or KeyError where something is missing there.
    """
    folder = _FOLDERS.get(language, language)
    single = json.loads((cldr / "annotations" / folder / "annotations.json").read_text())["annotations"]
    derived = json.loads((cldr / "annotationsDerived" / folder / "annotations.json").read_text())["annotationsDerived"]
    known = derived["annotations"] | single["annotations"]
    lines = []
    for emoji in offered():
        # The CLDR leaves out what only says that a picture is meant.
        found = known[emoji.replace("\ufe0f", "")]
        [name] = found["tts"]
        more = ", ".join(word for word in found["default"] if word != name)
        lines.append(f'"{emoji}": {json.dumps(f"{name}|{more}" if more else name, ensure_ascii=False)},\n')
    head = _HEAD.format(version=single["identity"]["version"]["_cldrVersion"])
    return f"{head}export const WORDS = {{\n{''.join(lines)}}};\n"
