"""Reads about subscriptions and what people want of pushes."""

from accounts.models import Device, User
from messaging.domain.errors import NotFound
from messaging.domain.ids import DeviceId
from push.models import PushSettings, Subscription


def device_of(user: User, device_id: DeviceId) -> Device:
    """Return a device on which the user is signed in.

    Raises:
        NotFound: no such device, or somebody else's: the two look alike.
    """
    device = Device.objects.filter(pk=device_id, user=user, revoked_at=None).first()
    if device is None:
        raise NotFound("no such device")
    return device


def subscription_of(user: User, device_id: DeviceId) -> Subscription:
    """Return the device's subscription.

    Raises:
        NotFound: no such device of the user's, or it has none.
    """
    found = Subscription.objects.filter(device=device_of(user, device_id)).first()
    if found is None:
        raise NotFound("this device gets no pushes")
    return found


def settings_of(user: User) -> PushSettings:
    """Return what the user wants; the defaults, where nothing was ever set."""
    return PushSettings.objects.filter(user=user).first() or PushSettings(user=user)
