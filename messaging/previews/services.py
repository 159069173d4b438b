"""Keeps with messages what is behind their links (docs/decisions/0075).

It follows the log: a job is told which messages were written or changed, and takes what the store says of them now, so
that it may be told twice and in any order. It never stands between a sender and the log.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from prometheus_client import Counter

from accounts.selectors import people
from chatproject import container
from messaging.domain.errors import Forbidden, NotFound
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.domain.links import first_link, host_of
from messaging.domain.messages import StoredMessage
from messaging.ports import MediaUnavailable, MessageRef
from messaging.previews.fetching import Fetcher, Found
from messaging.previews.models import LinkPreview, PreviewUse
from messaging.selectors.messages import find_message
from messaging.services.hints import hint

logger = logging.getLogger(__name__)

LINKS = Counter("chat_preview_links_total", "Links in messages, by where their preview came from.", ["result"])
SWEPT = Counter("chat_preview_swept_total", "Previews deleted because no message shows them any more.")

#: What was found is good for other messages so long, and so is that there was nothing.
_GOOD_FOR: Final = timedelta(days=1)
#: A preview without a message goes, but not before the job that made it had the time to say which message it is of.
_UNUSED_FOR: Final = timedelta(days=1)
_PAGE: Final = 200
_SWEEP_PAGE: Final = 500
#: Fetched at once, and the seconds that all of one job's may take; what is left over then has no preview.
_AT_ONCE: Final = 8
_BUDGET_S: Final = 30.0
#: Requests to one host, and for one sender: for long (1/s), and at once.
_HOST_RATE, _HOST_BURST = 0.5, 5
_SENDER_RATE, _SENDER_BURST = 0.2, 20

#: Makes the fetcher of a job; tests have their own.
MakeFetcher = Callable[[], Fetcher]


def fetcher() -> Fetcher:
    """Return a fetcher that goes where the settings let it."""
    return Fetcher(limits=container.limits(), exempt=settings.LINK_PREVIEW_TEST_ADDRESSES)


def digest_of(url: str) -> str:
    """Return the name under which an address is kept."""
    return sha256(url.encode()).hexdigest()


def look(refs: Sequence[MessageRef], *, make: MakeFetcher = fetcher) -> None:
    """Bring what is kept of the links of these messages up to date. Idempotent.

    Raises:
        StoreUnavailable, DatabaseError: some may be left as they were; call it again with all.
    """
    distinct = list(dict.fromkeys(refs))
    for start in range(0, len(distinct), _PAGE):
        _look_at(distinct[start : start + _PAGE], make)


def _look_at(refs: Sequence[MessageRef], make: MakeFetcher) -> None:
    messages = container.message_store().get(refs)
    conversations = container.conversation_store().get({conversation for conversation, _ in refs})
    shows = people.shows_previews({message.sender_id for message in messages.values()})
    wanted: dict[MessageRef, str] = {}
    gone: list[MessageRef] = []
    for ref in refs:
        message, conversation = messages.get(ref), conversations.get(ref[0])
        if message is None or conversation is None or message.delete_id is not None:
            gone.append(ref)
            continue
        if message.withheld:
            # It may be given back, with what it had.
            continue
        url = first_link(message.text) if message.kind == "text" else None
        if url is None or conversation.encrypted or ref[1] <= conversation.expired_id or message.sender_id not in shows:
            gone.append(ref)
        else:
            wanted[ref] = url
    for conversation_id, message_id in gone:
        PreviewUse.objects.filter(conversation_id=conversation_id, message_id=message_id).delete()
    previews = _previews(wanted, messages, make)
    told: set[ConversationId] = set()
    for ref, url in wanted.items():
        if (preview := previews.get(url)) is not None and _note(ref, preview) and preview.title:
            told.add(ref[0])
    for conversation_id in told:
        members = conversations[conversation_id].members
        # Who is told nothing finds it when the message is shown the next time.
        if members:
            hint(sorted(members), conversation_id, "previews")


def _note(ref: MessageRef, preview: LinkPreview) -> bool:
    """Note what a message shows; return whether that is something else than before."""
    use, created = PreviewUse.objects.get_or_create(
        conversation_id=ref[0], message_id=ref[1], defaults={"preview": preview}
    )
    if created:
        return True
    if use.removed or (use.preview is not None and use.preview.digest == preview.digest):
        return False
    use.preview = preview
    use.save(update_fields=["preview"])
    return True


def _previews(
    wanted: Mapping[MessageRef, str], messages: Mapping[MessageRef, StoredMessage], make: MakeFetcher
) -> dict[str, LinkPreview]:
    """Return what there is at these addresses: what was found a short while ago, or is found now."""
    digests = {digest_of(url): url for url in wanted.values()}
    rows = LinkPreview.objects.filter(digest__in=digests, fetched_at__gt=timezone.now() - _GOOD_FOR)
    found = {digests[row.digest]: row for row in rows.order_by("fetched_at")}
    LINKS.labels("known").inc(len(found))
    missing: dict[str, UserId] = {}
    for ref, url in wanted.items():
        if url not in found:
            missing.setdefault(url, messages[ref].sender_id)
    if missing:
        for url, answer in asyncio.run(_fetch_all(missing, make)).items():
            found[url] = _kept(url, answer)
    return found


async def _fetch_all(missing: Mapping[str, UserId], make: MakeFetcher) -> dict[str, Found]:
    """Return what is at each address, as far as rates and time allow."""
    answers: dict[str, Found] = {}
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(fetcher: Fetcher, url: str, sender: UserId) -> None:
        async with places:
            if not await _may_ask(url, sender):
                LINKS.labels("limited").inc()
                return
            answers[url] = await fetcher.fetch(url)
            LINKS.labels("fetched").inc()

    async with make() as fetcher:
        fetching = [asyncio.ensure_future(one(fetcher, url, sender)) for url, sender in missing.items()]
        done, late = await asyncio.wait(fetching, timeout=_BUDGET_S)
        for task in late:
            task.cancel()
        LINKS.labels("late").inc(len(late))
        await asyncio.gather(*late, return_exceptions=True)
        for task in done:
            if (error := task.exception()) is not None:
                logger.error("a preview could not be made: %s", type(error).__name__, exc_info=error)
    return answers


async def _may_ask(url: str, sender: UserId) -> bool:
    limiter = container.rate_limiter()
    for name, rate, burst in (
        (f"preview-sender:{sender}", _SENDER_RATE, _SENDER_BURST),
        (f"preview-host:{host_of(url)}", _HOST_RATE, _HOST_BURST),
    ):
        taken, _ = await limiter.take(name, 1, rate_per_s=rate, burst=burst)
        if not taken:
            return False
    return True


def _kept(url: str, found: Found) -> LinkPreview:
    row = LinkPreview(
        digest=digest_of(url), url=url, title=found.title, description=found.description, fetched_at=timezone.now()
    )
    if found.image is not None:
        text = f"{row.pk:016x}"
        key = f"{text[-2:]}/{text}/preview"
        try:
            container.media_store().put(key, found.image.data)
        except MediaUnavailable:
            # A preview without its picture is one, too.
            logger.warning("the picture of a preview could not be kept")
        else:
            row.image_key, row.width, row.height = key, found.image.width, found.image.height
    row.save(force_insert=True)
    return row


# --- taken away -----------------------------------------------------------------------------------


def remove(user: UserId, conversation_id: ConversationId, message_id: MessageId) -> None:
    """Show no preview with a message of one's own, for good; nobody sees it from the next look on.

    Raises:
        NotFound: the user cannot see the message. Forbidden: it is another's.
    """
    sight = find_message(user, conversation_id, message_id)
    if sight.message is None:
        raise NotFound("no such message")
    if sight.message.sender_id != user:
        raise Forbidden("only who wrote a message may remove its preview")
    PreviewUse.objects.update_or_create(
        conversation_id=conversation_id, message_id=message_id, defaults={"removed": True, "preview": None}
    )
    members = sight.access.conversation.members
    if members:
        hint(sorted(members), conversation_id, "previews")


def sweep() -> int:
    """Delete previews that no message shows, with their pictures; return how many."""
    swept = 0
    while page := list(_unused()[:_SWEEP_PAGE]):
        with transaction.atomic():
            # A message may have come to show one meanwhile.
            free = LinkPreview.objects.select_for_update().filter(pk__in=[row.pk for row in page], uses=None)
            gone = list(free)
            LinkPreview.objects.filter(pk__in=[row.pk for row in gone]).delete()
        _delete_pictures(gone)
        swept += len(gone)
        if len(page) < _SWEEP_PAGE:
            break
    SWEPT.inc(swept)
    return swept


def _delete_pictures(rows: Collection[LinkPreview]) -> None:
    keys = [row.image_key for row in rows if row.image_key]
    if keys:
        container.media_store().delete(keys)


def _unused() -> QuerySet[LinkPreview]:
    return LinkPreview.objects.filter(uses=None, fetched_at__lt=timezone.now() - _UNUSED_FOR).order_by("fetched_at")
