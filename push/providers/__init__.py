"""The carriers behind one interface (``base.PushProvider``)."""

from push.config import PushConfig
from push.providers.base import PushProvider


def build(config: PushConfig) -> dict[str, PushProvider]:
    """Return the providers that are set up, by name. Each loads its library here: it takes a second together."""
    found: dict[str, PushProvider] = {}
    if config.apns is not None:
        from push.providers.apns import Apns

        found["apns"] = Apns(config.apns)
    if config.fcm_credentials is not None:
        from push.providers.fcm import Fcm

        found["fcm"] = Fcm(config.fcm_credentials)
    if config.vapid_private_key:
        from push.providers.webpush import WebPush

        found["webpush"] = WebPush(config)
    return found
