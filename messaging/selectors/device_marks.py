"""Where a device may go on (docs/decisions/0039)."""

from accounts.models import Device
from chatproject import container
from messaging.domain.errors import NotFound
from messaging.domain.ids import ConversationId, DeviceId, Mark, UserId
from messaging.domain.limits import Limits


def kept_marks(user_id: UserId, device_id: DeviceId, *, limits: Limits) -> dict[ConversationId, Mark]:
    """Return the newest marks that were remembered of one of the user's devices, signed in or not any more.

    Raises:
        NotFound: the device is nobody's, or somebody else's.
    """
    if not Device.objects.filter(pk=device_id, user_id=user_id).exists():
        raise NotFound("no such device")
    return container.conversation_store().kept_marks(user_id, device_id, limit=limits.max_sync_marks)
