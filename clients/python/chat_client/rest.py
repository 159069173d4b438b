"""The REST side, over HTTP (``/v1/docs`` at every server)."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import httpx

from .errors import Refused, Unreachable
from .timeline import Message

# A line for each request would bury all else.
logging.getLogger("httpx").setLevel(logging.WARNING)

_TIMEOUT_S: Final = 30.0
#: To be connected: another server may be there meanwhile.
_CONNECT_S: Final = 5.0
_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Account:
    """Who a device signs in as: ``u_…``, and a bearer token that is the device's own."""

    user: str
    token: str


class Rest:
    """The API as one device of one user calls it, or, without a token, as nobody. ``close`` it in the end."""

    def __init__(self, servers: Sequence[str], token: str = "", *, random: Random | None = None) -> None:
        """``servers``: addresses as ``https://host``. Each call picks one, and another where that cannot be reached."""
        self._servers = servers
        self._random = random or Random()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.AsyncClient(
            headers=headers, trust_env=False, timeout=httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_S)
        )
        self._requests: set[asyncio.Task[httpx.Response | httpx.TransportError]] = set()

    async def call(self, method: str, path: str, body: Any = None, **params: str | int | None) -> Any:
        """Return the decoded answer of ``/v1/path``; None where it is empty.

        Raises:
            Unreachable: nobody answered; whether it took effect is unknown.
            Refused: the answer is an error.
        """
        given = {name: value for name, value in params.items() if value is not None}
        answer = await self._answer(method, path, body, given)
        if isinstance(answer, httpx.TransportError):
            raise Unreachable(str(answer)) from answer
        if answer.is_error:
            raise _refusal(answer)
        return answer.json() if answer.content else None

    async def _answer(
        self, method: str, path: str, body: Any, params: dict[str, Any]
    ) -> httpx.Response | httpx.TransportError:
        """Return the first answer of a server, in any order, or what kept the last from taking the request."""
        answer: httpx.Response | httpx.TransportError = httpx.ConnectError("there is no server")
        for server in self._random.sample(self._servers, k=len(self._servers)):
            request = asyncio.create_task(self._request(method, f"{server}/v1/{path}", body, params))
            self._requests.add(request)
            request.add_done_callback(self._requests.discard)
            # Shielded: a request that is cancelled while the server dies leaves its socket open.
            answer = await asyncio.shield(request)
            # Whatever else went wrong, the request may have taken effect.
            if not isinstance(answer, httpx.ConnectError | httpx.ConnectTimeout):
                break
        return answer

    async def _request(
        self, method: str, url: str, body: Any, params: dict[str, Any]
    ) -> httpx.Response | httpx.TransportError:
        try:
            return await self._http.request(method, url, json=body, params=params)
        except httpx.TransportError as error:
            return error

    async def conversations(self) -> list[dict[str, Any]]:
        """Return the whole list of conversations, as the API shows them."""
        return await self._pages("conversations", "cursor")

    async def history(self, conv: str) -> list[Message]:
        """Return all that the user may read of a conversation, oldest first."""
        return [Message.of(it) for it in reversed(await self._pages(f"conversations/{conv}/messages", "before"))]

    async def _pages(self, path: str, cursor: str) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = await self.call("GET", path, limit=_PAGE, **{cursor: after})
            results += page["results"]
            after = page["next"]
            if after is None:
                return results

    async def close(self) -> None:
        """Let what is running end, within the time of a request, and close the connections."""
        await asyncio.gather(*self._requests)
        await self._http.aclose()


def _refusal(answer: httpx.Response) -> Refused:
    if answer.headers.get("Content-Type", "") != "application/problem+json":
        return Refused(answer.status_code, "")
    problem = answer.json()
    return Refused(answer.status_code, problem["code"], problem.get("detail", ""))


async def sign_in(servers: Sequence[str], username: str, password: str, *, code: str = "", device: str = "") -> Account:
    """Return an account with a new token.

    ``code``: of the second factor, where the account has one. ``device``: how it is named in the list of devices.

    Raises:
        Refused: the password is not right, or was tried too often.
        Unreachable: nobody answered.
    """
    rest = Rest(servers)
    try:
        said = {"username": username, "password": password, "code": code, "device": device}
        answer = await rest.call("POST", "tokens", {name: value for name, value in said.items() if value})
        return Account(answer["user"]["id"], answer["token"])
    finally:
        await rest.close()
