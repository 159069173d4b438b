"""Accounts, profiles and blocks: the only writers (design section 5)."""

from collections.abc import Mapping
from typing import Final

from asgiref.sync import async_to_sync
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import Block, PresenceChoice, User, username_validator
from accounts.services.devices import revoke_others
from accounts.services.notices import mail_notice
from chatproject import container
from messaging.domain.errors import Conflict, InvalidInput, NotFound
from messaging.domain.events import InvalidateBlocks, PresenceChanged
from messaging.domain.ids import UserId
from messaging.services.fanout import locate, send_batches, tell_pods_of

_EDITABLE = frozenset(
    {"display_name", "about", "email", "share_presence", "presence_public", "show_previews", "language"}
)
_MOVED_SUBJECT: Final = _("The e-mail of your account was changed")
_MOVED: Final = _(
    "The account %(name)s has another e-mail address now, or none, and this one gets no more mail.\n\n"
    "If that was not you: sign in, change your password and the address in the settings, and sign out everywhere else."
    " If you cannot sign in any more, tell those who run this chat.\n"
)


def sign_up(*, username: str, password: str, display_name: str = "", email: str = "") -> User:
    """Return a new account.

    Raises:
        InvalidInput: the username or password is not acceptable.
        Conflict: the username is taken.
    """
    name = username.strip().lower()
    try:
        username_validator(name)
        candidate = User(username=name, display_name=display_name.strip(), email=email)
        validate_password(password, candidate)
    except ValidationError as error:
        raise InvalidInput(" ".join(error.messages)) from None
    candidate.set_password(password)
    try:
        with transaction.atomic():
            candidate.save(force_insert=True)
    except IntegrityError:
        raise Conflict("this username is taken") from None
    return candidate


def change_password(*, user: User, current: str, new: str, keep: object) -> None:
    """Set a new password and sign out everywhere but on the device ``keep``.

    Raises:
        InvalidInput: the current password is wrong or the new one not acceptable.
    """
    from accounts.models import Device

    if not user.check_password(current):
        raise InvalidInput("the current password is not right")
    try:
        validate_password(new, user)
    except ValidationError as error:
        raise InvalidInput(" ".join(error.messages)) from None
    user.set_password(new)
    user.save(update_fields=["password"])
    revoke_others(user=user, keep=keep if isinstance(keep, Device) else None)


def moves_mail(user: User, changes: Mapping[str, object]) -> bool:
    """Return whether a change of the profile has another address: whoever reads its mail can have a new password."""
    return "email" in changes and str(changes["email"]).lower() != user.email.lower()


def update_profile(*, user: User, **changes: object) -> User:
    """Change some of name, about, e-mail, language, previews and to whom presence is shown; hiding it is at once.

    ``presence``, a PresenceChoice, says the same as ``share_presence`` and ``presence_public``, and wins over them.
    """
    if "presence" in changes:
        choice = PresenceChoice(str(changes.pop("presence")))
        changes["share_presence"] = choice is not PresenceChoice.NOBODY
        if choice is not PresenceChoice.NOBODY:
            changes["presence_public"] = choice is PresenceChoice.EVERYONE
    unknown = changes.keys() - _EDITABLE
    if unknown:
        raise InvalidInput(f"cannot change {', '.join(sorted(unknown))}")
    hides = changes.get("share_presence") is False and user.share_presence
    if moves_mail(user, changes):
        # To where it was until now, in case that somebody else did it: a new password can be had by the new one.
        mail_notice(user=user, subject=_MOVED_SUBJECT, text=_MOVED, name=user.username)
    for name, value in changes.items():
        setattr(user, name, value)
    user.save(update_fields=list(changes))
    if hides:
        transaction.on_commit(lambda: async_to_sync(_vanish)(UserId(user.pk)))
    return user


async def _vanish(user: UserId) -> None:
    """Let the user look offline to who watches, and, in return, these to the user: its own pods hear of it as well."""
    registry, bus = container.registry(), container.pod_bus()
    event = PresenceChanged(user, "offline")
    watchers = await registry.watchers([user])
    own = {ref.pod for refs in (await locate(registry, [user])).values() for ref in refs}
    await send_batches(bus, {pod: [event] for pod in {*watchers.get(user, ()), *own}})


def _person(user: User, other_id: UserId) -> User:
    other = User.objects.filter(pk=other_id, is_active=True).exclude(pk=user.pk).first()
    if other is None:
        raise NotFound("no such user")
    return other


def block(*, user: User, other_id: UserId) -> None:
    """Let ``user`` hear no more from the other, nor the other from ``user``. Idempotent. Raises NotFound."""
    other = _person(user, other_id)
    Block.objects.get_or_create(owner=user, target=other)
    _blocks_changed(user, other_id)


def unblock(*, user: User, other_id: UserId) -> None:
    """Undo ``block``. Idempotent."""
    Block.objects.filter(owner=user, target_id=other_id).delete()
    _blocks_changed(user, other_id)


def _blocks_changed(user: User, other_id: UserId) -> None:
    mine = UserId(user.pk)
    transaction.on_commit(
        lambda: async_to_sync(tell_pods_of)(
            [mine, other_id],
            InvalidateBlocks(mine, other_id),
            registry=container.registry(),
            bus=container.pod_bus(),
        )
    )
