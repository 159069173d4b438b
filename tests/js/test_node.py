"""The browser's pure modules under ``node --test``. Left out, with a reason, where there is no Node."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

FILES = sorted(Path(__file__).parent.glob("*.test.mjs"))
#: The first that takes a ``.js`` file with imports for a module without being told.
OLDEST = (20, 19)


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("there is no node")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    if tuple(map(int, version.strip().removeprefix("v").split(".")[:2])) < OLDEST:
        pytest.skip(f"node {version.strip()} is too old: 20.19 is needed")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".test.mjs"))
def test_module(node: str, file: Path) -> None:
    """Every case of the file passes, and there are some."""
    ran = subprocess.run(
        [node, "--test", "--test-reporter=tap", str(file)], capture_output=True, text=True, check=False, timeout=120
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    passed = re.search(r"^# pass (\d+)$", ran.stdout, re.MULTILINE)
    assert passed is not None, ran.stdout
    assert int(passed[1]) > 0, ran.stdout
