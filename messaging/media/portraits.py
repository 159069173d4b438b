"""People's own pictures: set, taken away, and deleted once nothing keeps them (docs/decisions/0089).

The picture of a person is a file of theirs, uploaded for no conversation. It is looked at by the job that looks at all
files, which keeps a square of it. The only writer of ``User.picture_id``.
"""

from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import User
from messaging.compliance import holds
from messaging.domain.ids import MediaId, UserId
from messaging.media import services
from messaging.media.models import MediaUse
from messaging.media.services import OF_NO_CONVERSATION

#: In the place of a message's own id: it is a person that refers to the file.
_PORTRAIT: Final = b"picture of self"


def _uses() -> QuerySet[MediaUse]:
    return MediaUse.objects.filter(conversation_id=OF_NO_CONVERSATION, client_msg_id=_PORTRAIT)


def set_portrait(user: UserId, media_id: MediaId | None) -> None:
    """Give a person a picture that they uploaded, or none. The one before goes, unless a legal hold is on the person.

    Raises:
        NotFound: there is no such picture of theirs that is ready.
    """
    with holds.deleting(users=[user]) as (_, held):
        # Locked: of two changes at once the second finds what the first has set.
        person = User.objects.select_for_update().get(pk=user)
        if media_id == person.picture:
            return
        if media_id is not None:
            services.claim(media_id, owner=user, conversation=OF_NO_CONVERSATION, use=_PORTRAIT)
        User.objects.filter(pk=user).update(picture_id=media_id)
        if not held:
            _let_go(user, keep=media_id)


def forget_portraits(user: UserId) -> None:
    """Let go of all pictures of a person, once the transaction is committed. Call it inside ``holds.deleting``."""
    User.objects.filter(pk=user).update(picture_id=None)
    _let_go(user, keep=None)


def kept(user: UserId, *, until: datetime) -> list[MediaId]:
    """Return the pictures of a person that were uploaded until then and are there, oldest first.

    The one that is shown, and those from before it that a legal hold keeps.
    """
    uses = _uses().filter(sender_id=user, media__created_at__lte=until).order_by("media__created_at", "media")
    return [MediaId(use.media_id) for use in uses]


def _let_go(user: UserId, *, keep: MediaId | None) -> None:
    uses = _uses().filter(sender_id=user)
    former = set(uses.exclude(media_id=keep or 0).values_list("media_id", flat=True))
    uses.filter(media_id__in=former).delete()
    if former:
        transaction.on_commit(lambda: services.delete_released(former))


def sweep() -> int:
    """Let go of former pictures that a hold has kept, and keeps no more; return of how many people."""
    shown = User.objects.filter(picture_id=OuterRef("media_id"))
    former = _uses().exclude(Exists(shown)).values_list("sender_id", flat=True)
    # Few: who is or was on hold, and has changed their picture since.
    return sum(_sweep(UserId(user)) for user in former.distinct())


def _sweep(user: UserId) -> bool:
    with holds.deleting(users=[user]) as (_, held):
        if held:
            return False
        person = User.objects.select_for_update().filter(pk=user).first()
        _let_go(user, keep=None if person is None else person.picture)
    return True
