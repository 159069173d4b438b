"""A server of pages, and fetchers that may reach it."""

from tests.api.conftest import ann, bob, cat, person, route  # noqa: F401
from tests.previews.site import site  # noqa: F401
