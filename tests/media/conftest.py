"""People of the API's tests, who upload."""

from tests.api.conftest import ann, bob, cat, person, route  # noqa: F401
