"""The guide for those who write an app: its examples, one after the other, against a server."""

import asyncio
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.gateway.conftest import Server

pytestmark = pytest.mark.django_db(transaction=True)

GUIDE = Path(settings.BASE_DIR) / "docs" / "api.md"


def script() -> str:
    """Return all that stands between ```sh and ```, as one script that ends at the first thing that fails."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 8
    return "\n".join(["set -euo pipefail", *blocks])


@pytest.mark.usefixtures("jobs_run_at_once")
async def test_the_guides_examples_work(server: Server, make_user: Callable[..., Any], tmp_path: Path) -> None:
    for tool in ("bash", "curl", "jq"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    for name in ("alice", "bob"):
        user = make_user(name)
        user.set_password("chat-demo-1")
        await user.asave()
    process = await asyncio.create_subprocess_exec(
        "bash", "-x", "-c", script(), cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "CHAT": f"http://127.0.0.1:{server.port}", "no_proxy": "*"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(120):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-3_000:]
