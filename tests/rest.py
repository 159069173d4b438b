"""The REST side of a client, over HTTP, however the gateways were started."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import httpx

from tests.timeline import Message

# One line for each request would bury all else in the report of a failure.
logging.getLogger("httpx").setLevel(logging.WARNING)

_TIMEOUT_S: Final = 30.0


class Unreachable(Exception):
    """No gateway answered; try again."""


class Refused(Exception):
    """The gateway answered with a problem."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


class Rest:
    """The API as one device of one user calls it, or, without a token, as nobody. ``close`` it in the end."""

    def __init__(self, gateways: Sequence[str], token: str = "", *, random: Random | None = None) -> None:
        """``gateways``: addresses as ``host:port``, one of which is picked for each call."""
        self._gateways = gateways
        self._random = random or Random()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.AsyncClient(headers=headers, trust_env=False, timeout=_TIMEOUT_S)
        self._requests: set[asyncio.Task[httpx.Response | httpx.TransportError]] = set()

    async def call(self, method: str, path: str, body: Any = None, **params: str | int | None) -> Any:
        """Return the decoded answer; None where it is empty.

        Raises:
            Unreachable: nobody answered; whether it took effect is unknown.
            Refused: the answer is an error.
        """
        url = f"http://{self._random.choice(self._gateways)}/v1/{path}"
        given = {name: value for name, value in params.items() if value is not None}
        request = asyncio.create_task(self._request(method, url, body, given))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)
        # Shielded: a request that is cancelled while the server dies leaves its socket open.
        answer = await asyncio.shield(request)
        if isinstance(answer, httpx.TransportError):
            raise Unreachable(str(answer)) from answer
        if answer.is_error:
            kind = answer.headers.get("Content-Type", "")
            raise Refused(answer.status_code, answer.json()["code"] if kind == "application/problem+json" else "")
        return answer.json() if answer.content else None

    async def _request(
        self, method: str, url: str, body: Any, params: dict[str, Any]
    ) -> httpx.Response | httpx.TransportError:
        try:
            return await self._http.request(method, url, json=body, params=params)
        except httpx.TransportError as error:
            return error

    async def conversations(self) -> list[dict[str, Any]]:
        """Return the whole list of conversations."""
        return await self._pages("conversations", "cursor")

    async def history(self, conv: str) -> list[Message]:
        """Return all that the user may read of a conversation, oldest first."""
        return [Message.of(it) for it in reversed(await self._pages(f"conversations/{conv}/messages", "before"))]

    async def _pages(self, path: str, cursor: str) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = await self.call("GET", path, limit=200, **{cursor: after})
            results += page["results"]
            after = page["next"]
            if after is None:
                return results

    async def close(self) -> None:
        """Let what is running end, within the time of a request, and close the connections."""
        await asyncio.gather(*self._requests)
        await self._http.aclose()


@dataclass(frozen=True, slots=True)
class Account:
    """Who a device signs in as: ``u_…``, and a bearer token that is the device's own."""

    user: str
    token: str
