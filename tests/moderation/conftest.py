"""Members as in the tests of REST, and a moderator with a browser."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client as Browser

from accounts.models import User
from tests.api.conftest import Person, ann, bob, cat, person, route  # noqa: F401  # fixtures


class Moderator:
    """One of the staff, in a browser."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.browser = Browser()
        self.browser.force_login(user)

    def page(self, path: str) -> Any:
        return self.browser.get(f"/admin/moderation/{path}")

    def act(self, case_id: int, name: str, **fields: Any) -> Any:
        if name == "claim":
            fields = {"reason": "to judge it", **fields}
        return self.browser.post(f"/admin/moderation/case/{case_id}/{name}/", fields)

    def decide(self, case_id: int, outcome: str, **fields: Any) -> Any:
        return self.act(case_id, "decide", outcome=outcome, **{"reason": "rule 3", "told": "", "days": "7", **fields})


@pytest.fixture
def moderator(make_user: Callable[..., User]) -> Callable[..., Moderator]:
    """Return ``moderator(name, *permissions) -> Moderator``."""

    def make(name: str, *codenames: str) -> Moderator:
        user = make_user(name, is_staff=True, display_name=name.title())
        wanted = codenames or ("view_case", "decide_case", "view_takedown", "view_sanction")
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="moderation", codename__in=wanted))
        return Moderator(user)

    return make


@pytest.fixture
def meg(moderator: Callable[..., Moderator]) -> Moderator:
    return moderator("meg")


@pytest.fixture
def rude(ann: Person, bob: Person, route: Callable[[], None]) -> tuple[str, str]:  # noqa: F811
    """A DM of Ann's and Bob's in which Bob was rude: the conversation, and the message."""
    conv = ann.dm(bob)
    ann.say(conv, "Hello Bob")
    message = bob.say(conv, "You are a potato").json()["server_id"]
    ann.say(conv, "Pardon?")
    route()
    return conv, message
