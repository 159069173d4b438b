"""Bytes to a browser, so that nothing in them runs and no shared cache keeps them (docs/decisions/0053 and 0054)."""

import re
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.http import content_disposition_header

from chatproject import container
from messaging.domain.errors import NotFound
from messaging.media.models import Kind, MediaObject
from messaging.media.sniffing import OCTETS
from messaging.ports import MEDIA_LINK_TTL_S, MediaMissing
from messaging.streaming import from_thread

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
#: The reader's own browser may show it again so long without asking (s). What is deleted is gone for everybody else.
_MAX_AGE_S: Final = 3600
#: In a tab of its own it is of no origin, and loads and runs nothing; in a frame it is not shown.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'; sandbox; frame-ancestors 'none'"
)


def serve(request: HttpRequest, item: MediaObject, *, thumbnail: bool) -> HttpResponseBase:
    """Return an object's bytes, or what of them was asked for, or where the store gives them.

    Raises:
        NotFound: it has no thumbnail, or its bytes are gone.
    """
    key = item.thumbnail_key if thumbnail else item.content_key
    if not key:
        raise NotFound("no such media")
    shown = thumbnail or item.kind != Kind.FILE
    content_type = "image/webp" if thumbnail else item.content_type if shown else OCTETS
    # The name is the sender's, quoted by Django.
    disposition = content_disposition_header(not shown, item.name) or "inline"
    url = container.media_store().url(key, content_type=content_type, disposition=disposition)
    if url is not None:
        response: HttpResponseBase = HttpResponseRedirect(url)
        # A minute less than the address is good for.
        response["Cache-Control"] = f"private, max-age={MEDIA_LINK_TTL_S - 60}"
    else:
        response = _from_store(request, key, etag=f'"{item.sha256}{"-t" if thumbnail else ""}"')
        response["Content-Type"] = content_type
        response["Content-Disposition"] = disposition
        response["Cache-Control"] = f"private, max-age={_MAX_AGE_S}"
    response["Content-Security-Policy"] = _POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    patch_vary_headers(response, ["Authorization", "Cookie"])
    return response


def _from_store(request: HttpRequest, key: str, *, etag: str) -> HttpResponseBase:
    store = container.media_store()
    try:
        size = store.size(key)
        if request.headers.get("If-None-Match") == etag:
            return HttpResponse(status=304, headers={"ETag": etag})
        span = _span(request, size, etag)
        if span is None:
            return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"})
        start, end = span
        pieces = iter(()) if request.method == "HEAD" else store.read(key, start=start, end=end)
    except MediaMissing:
        raise NotFound("no such media") from None
    response = StreamingHttpResponse(from_thread(pieces))
    response["ETag"] = etag
    response["Accept-Ranges"] = "bytes"
    response["Content-Length"] = str(end - start)
    if end - start < size:
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return response


def _span(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | None:
    """Return (start, end) of what is wanted; None where there is nothing of it. What we do not read means all."""
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or asked.groups() == ("", "") or request.headers.get("If-Range", etag) != etag:
        return 0, size
    first, last = asked.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), size if not last else min(size, int(last) + 1)
    return (start, end) if start < end else None
