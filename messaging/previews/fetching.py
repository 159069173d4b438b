"""Fetch what is at a link: a page's title, description and picture (docs/decisions/0075).

Whatever is there was written by strangers: it is bounded in time, size and number of requests, nothing of it runs, and
what is kept are two short texts and a picture that was drawn anew.
"""

import asyncio
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import urljoin

import httpcore
import httpx
from prometheus_client import Counter

from messaging.domain.limits import Limits
from messaging.domain.links import may_fetch
from messaging.media import images, sniffing
from messaging.outbound import Refused, Resolve, resolve
from messaging.previews.guard import GuardedBackend
from messaging.previews.pages import Page, decoded, read_page

REQUESTS = Counter("chat_preview_requests_total", "Requests for previews of links, by how they ended.", ["result"])

#: For everything: names, redirects, the page and its picture.
DEADLINE_S: Final = 5.0
MAX_REDIRECTS: Final = 3
#: Of a page that is longer the beginning is read, compressed or not; a larger picture is none.
MAX_PAGE_BYTES: Final = 512 * 1024
MAX_PICTURE_BYTES: Final = 2 * 1024 * 1024
_MAX_PICTURE_PIXELS: Final = 20_000_000
_PAGES: Final = ("text/html", "application/xhtml+xml")
_PICTURES: Final = tuple(sorted(sniffing.IMAGES))
_HEADERS: Final[Mapping[bytes | str, bytes | str]] = {
    "User-Agent": "ChatLinkPreview/1.0 (fetches title and picture of a link that somebody sent in a chat)",
    "Accept": "text/html, application/xhtml+xml, image/jpeg, image/png, image/webp, image/gif",
    "Accept-Language": "*",
    "Accept-Encoding": "identity",
    # One answer a connection: nothing of one page's connection is there for the next.
    "Connection": "close",
}


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture drawn anew, as WebP; sizes in pixels."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Found:
    """What is at a link; without a title there is nothing to show."""

    title: str = ""
    description: str = ""
    image: Thumbnail | None = None


class Failed(Exception):
    """There is nothing to be had; the sentence says why, for the count."""

    def __init__(self, result: str) -> None:
        super().__init__(result)
        self.result = result


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer that is no redirect. ``body`` is what of it was within its bound, ``whole`` whether that is all."""

    url: str
    charset: str | None
    body: bytes
    whole: bool


class Fetcher:
    """Fetches previews; an asynchronous context manager. ``exempt``: see ``GuardedBackend``."""

    def __init__(self, *, limits: Limits, exempt: Collection[str] = (), resolve: Resolve = resolve) -> None:
        self._limits = replace(
            limits,
            max_picture_bytes=min(limits.max_picture_bytes, MAX_PICTURE_BYTES),
            max_picture_pixels=min(limits.max_picture_pixels, _MAX_PICTURE_PIXELS),
        )
        self._exempt_ports = {int(address.rpartition(":")[2]) for address in exempt}
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=32,
            max_keepalive_connections=0,
            retries=0,
            network_backend=GuardedBackend(exempt=exempt, resolve=resolve),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.aclose()

    async def fetch(self, url: str) -> Found:
        """Return what is at an address, within DEADLINE_S; nothing where it cannot be had. Never raises."""
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._get(url, wanted=_PAGES, most=MAX_PAGE_BYTES)
        except Failed as error:
            REQUESTS.labels(error.result).inc()
            return Found()
        except TimeoutError:
            REQUESTS.labels("slow").inc()
            return Found()
        REQUESTS.labels("ok").inc()
        page = await asyncio.to_thread(read_page, decoded(answer.body, answer.charset))
        if not page.title:
            return Found()
        return Found(page.title, page.description, await self._picture(page, answer.url, deadline))

    async def _picture(self, page: Page, base: str, deadline: float) -> Thumbnail | None:
        if not page.image:
            return None
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._get(_joined(base, page.image), wanted=_PICTURES, most=MAX_PICTURE_BYTES)
                if not answer.whole:
                    raise Failed("large")
                kind = sniffing.content_type(answer.body[: sniffing.HEAD_BYTES], declared="")
                if kind not in sniffing.IMAGES:
                    raise Failed("type")
                # Decoding cannot be stopped; it is bounded by the number of pixels.
                made = await asyncio.to_thread(images.thumbnail, answer.body, content_type=kind, limits=self._limits)
        except TimeoutError:
            REQUESTS.labels("slow").inc()
        except images.BadPicture:
            REQUESTS.labels("type").inc()
        except Failed as error:
            REQUESTS.labels(error.result).inc()
        else:
            REQUESTS.labels("ok").inc()
            return Thumbnail(*made)
        return None

    async def _get(self, url: str, *, wanted: Sequence[str], most: int) -> _Answer:
        """Return the answer at an address, or behind redirects, each looked at as the first. Raises Failed."""
        for _ in range(MAX_REDIRECTS + 1):
            async with self._asked(url) as response:
                headers = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
                if response.status in (301, 302, 303, 307, 308):
                    url = _joined(url, headers.get("location", ""))
                    continue
                if response.status != 200:
                    raise Failed("status")
                return await _read(url, headers, response.aiter_stream(), wanted, most)
        raise Failed("redirects")

    @asynccontextmanager
    async def _asked(self, url: str) -> AsyncIterator[httpcore.Response]:
        target = self._target(url)
        try:
            async with self._pool.stream("GET", target, headers=_HEADERS) as response:
                yield response
        except Refused:
            raise Failed("refused") from None
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError, ValueError):
            raise Failed("network") from None

    def _target(self, url: str) -> httpcore.URL:
        """Return an address as it is asked for. Raises Failed: it has not the form of one that may be."""
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, UnicodeError, ValueError):
            raise Failed("refused") from None
        if not (may_fetch(url) or parsed.port in self._exempt_ports):
            raise Failed("refused")
        return httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)


def _joined(base: str, address: str) -> str:
    """Return where an address leads that stands on a page. Raises Failed."""
    if not address:
        raise Failed("redirects")
    try:
        return urljoin(base, address).partition("#")[0]
    except ValueError:
        raise Failed("refused") from None


async def _read(
    url: str, headers: Mapping[str, str], stream: AsyncIterable[bytes], wanted: Sequence[str], most: int
) -> _Answer:
    """Return the beginning of an answer of a wanted type: ``most`` bytes, once it is unpacked. Raises Failed."""
    content_type, _, parameters = headers.get("content-type", "").partition(";")
    if content_type.strip().lower() not in wanted:
        raise Failed("type")
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise Failed("type")
    unpack = None if encoding in ("", "identity") else zlib.decompressobj(wbits=47)
    body, raw, whole = bytearray(), 0, True
    async for piece in stream:
        raw += len(piece)
        room = most - len(body)
        try:
            # No more than there is room for is ever unpacked, however much it says that it is.
            body += piece if unpack is None else unpack.decompress(piece, room + 1)
        except zlib.error:
            raise Failed("type") from None
        if len(body) > most or raw > most:
            whole = False
            break
    return _Answer(url, _charset(parameters), bytes(body[:most]), whole)


def _charset(parameters: str) -> str | None:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'") or None
    return None
