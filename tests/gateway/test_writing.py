"""The way of a frame to one socket: what is written, in which order, and what is dropped when a peer does not read."""

import asyncio
import json
from dataclasses import replace
from typing import Any

from messaging.domain.frames import Msg, TypingEvent
from messaging.domain.limits import Limits
from messaging.gateway.outbox import Encoded, Outbox
from messaging.protocol.codec import JSON


class Peer:
    """A socket whose peer reads when it is told to."""

    def __init__(self, **limits: int) -> None:
        self.events: list[dict[str, Any]] = []
        self.reads = asyncio.Event()
        self.too_slow = 0
        self.outbox = Outbox(
            self._send, codec=JSON, limits=replace(Limits(), **limits), on_too_slow=self._count_too_slow
        )

    async def _send(self, event: dict[str, Any]) -> None:
        await self.reads.wait()
        self.events.append(event)

    def _count_too_slow(self) -> None:
        self.too_slow += 1

    async def read(self) -> list[str]:
        """Let the peer read all that was written; return the ``server_id`` or the conversation of each frame."""
        self.reads.set()
        await self.outbox.flush(timeout_s=5)
        frames = [json.loads(event["text"]) for event in self.events]
        return [frame.get("server_id") or frame["conv"] for frame in frames]


def message(name: str) -> Encoded:
    return Encoded(Msg(server_id=name, conv="c", sender="u", ts=1))


def hint(name: str) -> Encoded:
    return Encoded(TypingEvent(conv=name, user="u"), ephemeral=True)


async def test_a_message_takes_the_room_of_hints() -> None:
    peer = Peer(max_outbox_frames=3)
    for frame in (message("m1"), hint("h1"), hint("h2"), message("m2"), message("m3"), hint("h3")):
        peer.outbox.put(frame)
    assert await peer.read() == ["m1", "m2", "m3"]
    assert peer.too_slow == 0
