"""From objects to JSON."""

from itertools import islice
from typing import Any, Final

from chatproject import container
from messaging.domain import ids
from messaging.media.models import MediaObject, State
from messaging.media.services import missing_parts

_PARTS: Final = 100


def media(item: MediaObject) -> dict[str, Any]:
    """Return a file as everybody sees it who may."""
    ready = item.state == State.READY
    return {
        "id": ids.media_ref(item.pk),
        "state": item.state,
        "reason": item.reason,
        "kind": item.kind,
        "name": item.name,
        "type": item.content_type if ready else "",
        "size": item.size,
        "width": item.width,
        "height": item.height,
        "duration_ms": item.duration_ms,
        "preview": item.preview,
        "thumbnail": bool(item.thumbnail_key),
    }


def upload(item: MediaObject) -> dict[str, Any]:
    """Return one's own file, with the parts that are missing and where they go."""
    store, ref = container.media_store(), ids.media_ref(item.pk)
    missing = [
        {
            "number": number,
            "offset": (number - 1) * item.part_bytes,
            "size": size,
            "url": store.part_url(item.key("original"), item.upload, number, size=size)
            or f"/v1/media/{ref}/parts/{number}",
        }
        for number, size in islice(missing_parts(item).items(), _PARTS)
    ]
    return {**media(item), "missing": missing}
