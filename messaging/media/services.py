"""The way of an object: announced, uploaded in parts, looked at by a job, referred to by messages, deleted.

See docs/decisions/0052 to 0054, and docs/media.md.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from prometheus_client import Counter, Histogram

from chatproject import container
from messaging.domain import ids
from messaging.domain.errors import ChatError, Conflict, InvalidInput, NotFound, RateLimited, TooLarge
from messaging.domain.ids import ConversationId, MediaId, UserId
from messaging.domain.messages import DedupeKey
from messaging.jobs import queued
from messaging.media import images, sniffing
from messaging.media.models import Kind, MediaObject, MediaUse, State
from messaging.media.names import clean_name
from messaging.media.selectors import in_message
from messaging.ports import MediaMissing, MediaStore, MediaUnavailable
from messaging.selectors.access import may_send
from messaging.services import conversations
from messaging.services.send import Outgoing

logger = logging.getLogger(__name__)

ANNOUNCED = Counter("chat_media_uploads_total", "Uploads that were begun.")
PROCESSED = Counter("chat_media_processed_total", "Files that were looked at, by what became of them.", ["result"])
PROCESSED_BYTES = Counter("chat_media_processed_bytes_total", "Bytes of the files that were looked at.")
PROCESSING = Histogram(
    "chat_media_processing_seconds",
    "From the completion of an upload to its file being ready or refused.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300),
)
RELEASED = Counter("chat_media_released_total", "Files deleted together with the last message that referred to them.")
SWEPT = Counter("chat_media_swept_total", "Files deleted because no message came to refer to them.")

_DAY: Final = timedelta(days=1)
#: An object that waits so long for its job has lost it, and gets another.
_REQUEUE_AFTER: Final = timedelta(minutes=10)
_SWEEP_PAGE: Final = 500
_MAX_DURATION_MS: Final = 24 * 3600 * 1000
#: In place of a conversation: the file is to be its owner's own picture.
OF_NO_CONVERSATION: Final = ConversationId(0)


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What its sender says of a file. ``size`` in bytes. For one's own picture it is ``OF_NO_CONVERSATION``."""

    conversation_id: ConversationId
    name: str
    size: int
    content_type: str
    voice: bool = False
    duration_ms: int | None = None


# --- upload ---------------------------------------------------------------------------------------


def begin_upload(owner: UserId, new: NewUpload) -> MediaObject:
    """Return an object whose parts may come now.

    Raises:
        NotFound, Blocked: the owner may not write in the conversation.
        InvalidInput: an empty file. TooLarge: over ``max_media_bytes``; of one's own picture, ``max_picture_bytes``.
        RateLimited: too many uploads that are not finished, or too many bytes in 24 hours.
    """
    portrait = new.conversation_id == OF_NO_CONVERSATION
    if not portrait:
        may_send(owner, new.conversation_id)
    limits = container.limits()
    most = min(limits.max_picture_bytes, limits.max_media_bytes) if portrait else limits.max_media_bytes
    if new.size < 1:
        raise InvalidInput("an empty file cannot be sent")
    if new.size > most:
        raise TooLarge(f"the file has {new.size} bytes; the limit is {most}")
    mine = MediaObject.objects.filter(owner_id=owner)
    if mine.filter(state=State.UPLOADING).count() >= limits.max_uploads:
        raise RateLimited("too many uploads at once; finish or cancel some", retry_after=60.0)
    # What was deleted since counts no more: this bounds what is kept, the rate of requests bounds the rest.
    today = mine.filter(created_at__gt=timezone.now() - _DAY).aggregate(sum=Sum("size"))["sum"] or 0
    if today + new.size > limits.max_media_day_bytes:
        raise RateLimited("you have uploaded too much in the last 24 hours", retry_after=3600.0)
    store = container.media_store()
    item = MediaObject(
        owner_id=owner,
        conversation_id=new.conversation_id,
        # What a person's own picture is called on their disk is told to nobody.
        name="picture" if portrait else clean_name(new.name),
        size=new.size,
        content_type=new.content_type[:60] or sniffing.OCTETS,
        voice=new.voice,
        duration_ms=None if new.duration_ms is None else min(new.duration_ms, _MAX_DURATION_MS),
        part_bytes=store.part_bytes,
    )
    item.upload = store.begin(item.key("original"))
    item.save(force_insert=True)
    ANNOUNCED.inc()
    return item


def part_sizes(item: MediaObject) -> dict[int, int]:
    """Return the size that each part has to have, by number."""
    count = -(-item.size // item.part_bytes)
    sizes = dict.fromkeys(range(1, count + 1), item.part_bytes)
    sizes[count] = item.size - (count - 1) * item.part_bytes
    return sizes


def missing_parts(item: MediaObject) -> dict[int, int]:
    """Return the size of each part that has yet to come; none once the upload is complete."""
    if item.state != State.UPLOADING:
        return {}
    try:
        there = container.media_store().parts(item.key("original"), item.upload)
    except MediaMissing:
        raise NotFound("no such upload") from None
    return {number: size for number, size in part_sizes(item).items() if there.get(number) != size}


def put_part(item: MediaObject, number: int, data: bytes) -> None:
    """Store one part of an upload; the same one again is harmless.

    Raises:
        Conflict: the upload is complete. InvalidInput: no such part, or not of its size. NotFound: the upload is gone.
    """
    if item.state != State.UPLOADING:
        raise Conflict("this upload is complete")
    if part_sizes(item).get(number) != len(data):
        raise InvalidInput("there is no such part of that size")
    try:
        container.media_store().put_part(item.key("original"), item.upload, number, data)
    except MediaMissing:
        raise NotFound("no such upload") from None


def complete(item: MediaObject) -> MediaObject:
    """Have a whole upload looked at; one that was completed before stays as it is.

    Raises:
        Conflict: parts are missing.
    """
    if item.state != State.UPLOADING:
        return item
    if missing := missing_parts(item):
        raise Conflict(f"{len(missing)} parts are missing")
    if _move(item, State.UPLOADING, state=State.PROCESSING):
        _queue(MediaId(item.pk))
    item.refresh_from_db()
    return item


def _move(item: MediaObject, before: State, **fields: object) -> bool:
    """Change an object that is still in the state ``before``; return whether it was."""
    fields["changed_at"] = timezone.now()
    return MediaObject.objects.filter(pk=item.pk, state=before).update(**fields) == 1


def _queue(media_id: MediaId) -> None:
    # Tasks import the services.
    from messaging.media.tasks import process

    if not queued(process, media_id):
        # The clock's job finds it.
        logger.warning("the job of an upload could not be queued; it will be by the clock")


def cancel(item: MediaObject) -> None:
    """Delete an object that no message refers to.

    Raises:
        Conflict: one does; delete the message.
    """
    if not delete_unused(MediaId(item.pk)):
        raise Conflict("a message refers to this file")


# --- the job --------------------------------------------------------------------------------------


def process(media_id: MediaId) -> None:
    """Look at a complete upload, make of it what is given out, and let messages refer to it; or refuse it.

    Repeating it is harmless.

    Raises:
        MediaUnavailable: try again.
    """
    item = MediaObject.objects.filter(pk=media_id, state=State.PROCESSING).first()
    if item is None:
        return
    store = container.media_store()
    original = item.key("original")
    try:
        store.finish(original, item.upload)
        if store.size(original) != item.size:
            raise images.BadPicture("the upload is incomplete")
        fields = _looked_at(item, store, original)
    except MediaMissing:
        fields = {"state": State.REFUSED, "reason": "the upload was lost"}
    except images.BadPicture as error:
        fields = {"state": State.REFUSED, "reason": str(error)}
    ready = fields["state"] == State.READY
    kept = _move(item, State.PROCESSING, **fields)
    stale = set(_keys(item)) - ({fields["content_key"], fields["thumbnail_key"]} if ready and kept else set())
    store.delete(sorted(str(key) for key in stale))
    if kept:
        PROCESSED.labels(str(fields["state"])).inc()
        PROCESSED_BYTES.inc(item.size)
        PROCESSING.observe(max(0.0, (timezone.now() - item.changed_at).total_seconds()))


def _keys(item: MediaObject) -> list[str]:
    return [item.key(part) for part in ("original", "content", "thumbnail")]


def _looked_at(item: MediaObject, store: MediaStore, original: str) -> dict[str, object]:
    """Return the fields of a ready object. Raises BadPicture."""
    head = b"".join(store.read(original, end=min(item.size, sniffing.HEAD_BYTES)))
    content_type = sniffing.content_type(head, declared=item.content_type)
    portrait = item.conversation_id == OF_NO_CONVERSATION
    if content_type not in sniffing.IMAGES:
        if portrait:
            raise images.BadPicture("this is no picture")
        digest = sha256()
        for piece in store.read(original):
            digest.update(piece)
        return {
            "state": State.READY,
            "content_type": content_type,
            "kind": _kind(content_type, voice=item.voice),
            "sha256": digest.hexdigest(),
            "content_key": original,
            "thumbnail_key": "",
        }
    limits = container.limits()
    if item.size > limits.max_picture_bytes:
        raise images.BadPicture(f"a picture may have {limits.max_picture_bytes // (1024 * 1024)} MiB")
    data = b"".join(store.read(original))
    make = images.portrait if portrait else images.rewrite
    picture = make(data, content_type=content_type, limits=limits)
    store.put(item.key("content"), picture.data)
    store.put(item.key("thumbnail"), picture.thumbnail)
    return {
        "state": State.READY,
        "content_type": picture.content_type,
        "kind": Kind.IMAGE,
        "size": len(picture.data),
        "sha256": sha256(picture.data).hexdigest(),
        "width": picture.width,
        "height": picture.height,
        "preview": picture.preview,
        "content_key": item.key("content"),
        "thumbnail_key": item.key("thumbnail"),
    }


def _kind(content_type: str, *, voice: bool) -> Kind:
    major = content_type.partition("/")[0]
    if major == "audio":
        return Kind.VOICE if voice else Kind.AUDIO
    return Kind.VIDEO if major == "video" else Kind.FILE


# --- messages -------------------------------------------------------------------------------------


def attach(message: Outgoing, forwarded_from: str | None) -> None:
    """Note that a message refers to its media, if its sender may use them: own ones, and those of what it forwards.

    Done before the message is in the log, so that what a message refers to is never deleted as unused. One that was
    sent before passes.

    Raises:
        InvalidInput: not references. NotFound: absent, not ready, or not the sender's to use: they look alike.
    """
    try:
        wanted = {ids.parse_media(ref) for ref in message.media}
    except ids.InvalidId:
        raise InvalidInput("media holds references as `POST /v1/media` gives them") from None
    if len(wanted) < len(message.media):
        raise InvalidInput("a message refers to a file once")
    try:
        _use(message, wanted, forwarded_from)
    except ChatError:
        key = DedupeKey(message.conversation, message.sender, message.client_msg_id)
        if key not in container.message_store().find_placed([key]):
            raise


def _use(message: Outgoing, wanted: set[MediaId], forwarded_from: str | None) -> None:
    passed_on = set() if forwarded_from is None else wanted & in_message(message.sender, forwarded_from)
    with transaction.atomic():
        # Locked: nobody deletes them as unused meanwhile.
        found = MediaObject.objects.select_for_update().filter(pk__in=wanted, state=State.READY)
        mine = [item for item in found if item.owner_id == message.sender and item.pk not in passed_on]
        usable = (wanted & passed_on & {item.pk for item in found}) | _in_time(mine)
        if usable != wanted:
            raise NotFound("no such media")
        MediaUse.objects.bulk_create(
            [
                MediaUse(
                    media_id=media_id,
                    conversation_id=message.conversation,
                    sender_id=message.sender,
                    client_msg_id=message.client_msg_id,
                )
                for media_id in wanted
            ],
            ignore_conflicts=True,
        )


def _in_time(items: Sequence[MediaObject]) -> set[MediaId]:
    """Return which of these were not sent yet, or to a conversation in which their time is not over.

    What is over its time may be stored because of a legal hold, and is as absent then as what was deleted.
    """
    uses: dict[int, list[ConversationId]] = {item.pk: [] for item in items}
    for media_id, conversation in MediaUse.objects.filter(media_id__in=uses).values_list("media_id", "conversation_id"):
        uses[media_id].append(ConversationId(conversation))
    wanted = {conversation for them in uses.values() for conversation in them}
    found = container.conversation_store().get(wanted) if wanted else {}
    in_time = set()
    for item in items:
        # It is older than the message that it is in: who uploaded it just before the end sends it no second time.
        born = ids.first_id_at(int(item.created_at.timestamp() * 1000))
        shown = [it for it in uses[item.pk] if it in found and found[it].expired_id < born]
        if shown or not uses[item.pk]:
            in_time.add(MediaId(item.pk))
    return in_time


def release(messages: Sequence[DedupeKey]) -> None:
    """Note that messages are gone for good, in the transaction in which they go.

    Once it is committed, what only they referred to is deleted with all that was made of it; where the store of media
    is away, by a later ``sweep``. A message that people deleted keeps its media: nobody is given them any more.
    """
    released: set[int] = set()
    for key in messages:
        uses = MediaUse.objects.filter(
            conversation_id=key.conversation_id, sender_id=key.sender_id, client_msg_id=key.client_msg_id
        )
        released.update(uses.values_list("media_id", flat=True))
        uses.delete()
    if released:
        transaction.on_commit(lambda: delete_released(released))


def delete_released(objects: Collection[int]) -> None:
    """Delete those objects to which nothing refers; where the store of media is away, a later ``sweep`` does."""
    try:
        RELEASED.inc(sum(delete_unused(MediaId(media_id)) for media_id in objects))
    except (MediaUnavailable, OSError):
        logger.warning("the store of media is away; files that are due go with a later sweep")


# --- pictures of groups ---------------------------------------------------------------------------

#: In the place of a message's own id: it is a group that refers to the file.
_PICTURE: Final = b"picture of group"


def set_picture(actor: UserId, conversation_id: ConversationId, media_id: MediaId | None) -> None:
    """Give a group a picture that the actor uploaded, or none. The file before goes, if nothing else refers to it.

    Raises:
        NotFound: the actor is no member, or has no such picture that is ready. Forbidden, Conflict: as ``may_manage``.
        Unavailable: it is set, but the log does not know yet.
    """
    before = conversations.may_manage(actor, conversation_id).picture
    if media_id == before:
        return
    if media_id is not None:
        claim(media_id, owner=actor, conversation=conversation_id, use=_PICTURE)
    conversations.set_picture(actor=actor, conversation_id=conversation_id, picture=media_id)
    if before is not None:
        uses = MediaUse.objects.filter(media_id=before, conversation_id=conversation_id, client_msg_id=_PICTURE)
        uses.delete()
        delete_unused(before)


def claim(media_id: MediaId, *, owner: UserId, conversation: ConversationId, use: bytes) -> None:
    """Note that something other than a message refers to a picture, which its owner has uploaded and not sent.

    ``conversation``: what refers to it; ``OF_NO_CONVERSATION`` for a person, whose picture was uploaded as such.
    ``use``: in the place of a message's own id, at most 16 bytes.

    Raises:
        NotFound: the owner has no such picture that is ready.
    """
    with transaction.atomic():
        # Locked: nobody deletes it as unused meanwhile.
        mine = MediaObject.objects.select_for_update().filter(pk=media_id, owner_id=owner, uses=None)
        if conversation == OF_NO_CONVERSATION:
            mine = mine.filter(conversation_id=OF_NO_CONVERSATION)
        if not mine.filter(state=State.READY, kind=Kind.IMAGE).exists():
            raise NotFound("no such picture")
        MediaUse.objects.create(media_id=media_id, conversation_id=conversation, sender_id=owner, client_msg_id=use)


# --- deletion -------------------------------------------------------------------------------------


def delete_unused(media_id: MediaId) -> bool:
    """Delete an object to which no message refers, with all that was made of it; return False where one does.

    Idempotent: what a crash left half deleted is refused to everybody, and goes with the next sweep.
    """
    with transaction.atomic():
        item = MediaObject.objects.select_for_update().filter(pk=media_id).first()
        if item is None:
            return True
        if item.uses.exists():
            return False
        item.state, item.reason = State.REFUSED, "deleted"
        item.save(update_fields=["state", "reason"])
    store = container.media_store()
    store.abort(item.key("original"), item.upload)
    store.delete(_keys(item))
    item.delete()
    return True


def delete_unused_of(owner: UserId) -> None:
    """Delete, once the transaction is committed, what somebody uploaded and no message refers to."""
    mine = set(MediaObject.objects.filter(owner_id=owner, uses=None).values_list("pk", flat=True))
    if mine:
        transaction.on_commit(lambda: delete_released(mine))


def sweep() -> int:
    """Delete what was never finished, or that no message came to refer to; queue lost jobs. Return how many went."""
    now = timezone.now()
    lost = MediaObject.objects.filter(state=State.PROCESSING, changed_at__lt=now - _REQUEUE_AFTER)
    for media_id in lost.values_list("pk", flat=True)[:_SWEEP_PAGE]:
        _queue(MediaId(media_id))
    before = now - timedelta(seconds=container.limits().media_unused_s)
    unused = MediaObject.objects.filter(changed_at__lt=before, uses=None).exclude(state=State.PROCESSING)
    return _sweep(list(unused.order_by("changed_at").values_list("pk", flat=True)[:_SWEEP_PAGE]))


def _sweep(media_ids: Sequence[int]) -> int:
    gone = sum(delete_unused(MediaId(media_id)) for media_id in media_ids)
    SWEPT.inc(gone)
    return gone
