"""The example bot, as a process of its own, against a real gateway; also across its own death."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from accounts.models import Bot
from accounts.services.bots import make_bot_token
from messaging.domain import ids
from tests.conftest import outside_the_loop
from tests.gateway.conftest import Client, Server, conv_ref

pytestmark = pytest.mark.django_db(transaction=True)

FOLDER = Path(settings.BASE_DIR) / "clients" / "python"


class Process:
    """The bot's process, which can die and be started again with what it kept."""

    def __init__(self, server: Server, token: str, folder: Path) -> None:
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(FOLDER),
            "CHAT_SERVER": f"http://127.0.0.1:{server.port}",
            "CHAT_TOKEN": token,
            "CHAT_FOLDER": str(folder),
        }
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        program = str(FOLDER / "examples" / "reminder_bot.py")
        self._process = await asyncio.create_subprocess_exec(sys.executable, program, env=self._environment)

    async def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None


@pytest.fixture
async def bot(server: Server, make_user: Callable[..., Any], tmp_path: Path) -> AsyncIterator[tuple[Any, Process]]:
    user = make_user("reminder", is_bot=True)

    def token() -> str:
        return make_bot_token(bot=Bot.objects.create(user=user), name="test")[1]

    process = Process(server, outside_the_loop(token), tmp_path)
    yield user, process
    await process.kill()


async def test_it_reminds_and_answers_for_help_also_after_it_died(
    server: Server, make_user: Callable[..., Any], make_dm: Callable[..., Any], bot: tuple[Any, Process]
) -> None:
    user, process = bot
    ann = make_user("ann")
    conv, ref = conv_ref(make_dm(ann, user)), ids.user_ref(user.pk)
    client = await server.sign_in(ann)
    await process.start()
    await _until_it_listens(client, conv, ref)
    asked = await client.say(conv, "remind 4s the tea")
    promised = await _from(client, ref)
    assert (promised["body"], promised["reply_to"]) == ("I will.", asked["server_id"])
    await process.kill()
    await process.start()
    reminded = await _from(client, ref)
    assert (reminded["body"], reminded["reply_to"]) == ("⏰ the tea", asked["server_id"])


async def _until_it_listens(client: Client, conv: str, bot: str) -> None:
    """Ask for help until it is given: what came before the bot's first connection is not the bot's to answer."""
    for _ in range(60):
        await client.say(conv, "help")
        try:
            async with asyncio.timeout(1):
                answer = await client.expect("msg", **{"from": bot})
        except TimeoutError:
            continue
        assert answer["body"].startswith("Say “remind")
        break
    # Of those that were answered late, nothing is left.
    await client.quiet()


async def _from(client: Client, sender: str) -> dict[str, Any]:
    """Return the next message of somebody's that is no help."""
    async with asyncio.timeout(30):
        while True:
            try:
                message = await client.expect("msg", **{"from": sender})
            except TimeoutError:
                continue
            if not message["body"].startswith("Say"):
                return message
