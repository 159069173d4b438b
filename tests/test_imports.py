"""The tree's rules about who may import whom, and who may read the environment."""

import ast
import subprocess
import sys
from pathlib import Path

from django.conf import settings

PACKAGES = ("chatproject", "accounts", "messaging", "push")
#: Where the environment may be touched, and by which methods of ``os.environ``.
READERS = {"chatproject/env.py": None, "chatproject/asgi.py": {"setdefault"}}


def test_imports_point_inwards() -> None:
    # The command, not its Python API: it shares nothing with this process.
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    ran = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _environment_uses(path: Path) -> list[tuple[int, str]]:
    found = []
    tree = ast.parse(path.read_text())
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    for node in ast.walk(tree):
        named = isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "putenv", "environb"}
        imported = isinstance(node, ast.ImportFrom) and node.module == "os" and any("env" in a.name for a in node.names)
        if named or imported:
            parent = parents.get(node)
            found.append((node.lineno, parent.attr if isinstance(parent, ast.Attribute) else ""))
    return found


def test_only_one_module_reads_the_environment() -> None:
    problems = []
    for package in PACKAGES:
        for path in sorted((Path(settings.BASE_DIR) / package).rglob("*.py")):
            name = path.relative_to(settings.BASE_DIR).as_posix()
            allowed = READERS.get(name, set())
            if allowed is None:
                continue
            problems += [f"{name}:{line}" for line, method in _environment_uses(path) if method not in allowed]
    assert not problems
