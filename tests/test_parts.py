"""The parts of ``make test`` have every test, each once, and what becomes of one of them is what becomes of all."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.expression import Expression

from tests import parts
from tests.parts import DRILLS, STEPS, Part, core, run


def has(part: Part, markers: frozenset[str], path: str) -> bool:
    """Return whether a test with these markers, in this file, is of a part."""
    if any(path.startswith(option.removeprefix("--ignore=")) for option in part.options if "--ignore" in option):
        return False
    paths = [option for option in part.options if not option.startswith("-")]
    if paths and not any(path.startswith(it) for it in paths):
        return False
    return Expression.compile(part.markers).evaluate(lambda name, /, **_: name in markers)


@pytest.mark.parametrize(
    "path", [DRILLS, "tests/drills/test_judge.py", "tests/e2e/test_chat.py", "tests/process/test_kill.py"]
)
def test_every_test_is_of_one_part(path: str) -> None:
    every = [part for step in STEPS for part in step]
    # As tests/conftest.py marks them: a browser's tests are those in tests/e2e, and slow.
    marked = {"e2e", "slow"} if path.startswith("tests/e2e") else set()
    always = {"process", "slow"} if path == DRILLS else set()
    for size in range(3):
        for more in itertools.combinations(("process", "slow"), size):
            markers = frozenset(marked | always | set(more))
            assert len([part for part in every if has(part, markers, path)]) == 1, markers


def test_the_core_is_of_the_fast_part_and_there() -> None:
    assert core().markers == STEPS[0][0].markers
    paths = [option for option in core().options if not option.startswith("-")]
    assert all((Path(parts.__file__).parent.parent / it).exists() for it in paths)
    assert "tests/test_parts.py" in paths


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a tree of three tests."""
    monkeypatch.setenv("PYTHONPATH", str(parts._ROOT))
    monkeypatch.setattr(parts, "_ROOT", tmp_path)
    # Ours are not to be found there.
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    (tmp_path / "test_good.py").write_text("def test_it(): pass\n")
    (tmp_path / "test_bad.py").write_text("def test_it(): assert False\n")
    (tmp_path / "test_out.py").write_text("import pytest\ndef test_it(): pytest.skip('no server')\n")
    return tmp_path


@pytest.mark.slow
def test_all_parts_run_and_one_that_fails_fails_all(here: Path, capfd: Any) -> None:
    bad, good, out = (Part(name, "not e2e", ("-q", f"test_{name}.py")) for name in ("bad", "good", "out"))
    assert run([[good], [bad, out]]) == 1
    told = capfd.readouterr().out
    assert told.endswith(
        "\n=== failed the first time, and passed, of all parts ===\nnothing\n"
        "\n=== left out, of all parts ===\ntest_out.py::test_it: no server\n"
        "\n=== failed, of all parts ===\ntest_bad.py::test_it\n"
    )
    assert run([[good, out]]) == 0
    # One that finds no tests, or does not get as far as to tell, has failed.
    assert run([[Part("none", "e2e", ("-q",)), good]]) == 1
    assert "the part none ended with 5" in capfd.readouterr().out
