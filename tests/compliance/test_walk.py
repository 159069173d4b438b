"""Every page that is linked for each role of the staff can be opened, with one of everything to show."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from django.test import Client

from accounts.models import User
from messaging.compliance import roles
from tests.api.conftest import Person, ann, bob, person, route  # noqa: F401  # fixtures
from tests.compliance.staff_data import WRITE
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db

ROLES = (roles.MODERATOR, roles.OFFICER, roles.AUDITOR, roles.OPERATOR, "superuser")
#: Pages of one kind that are looked at.
_FEW = 3
_NUMBER = re.compile(r"/(\d+|c_[\w-]+)/")
#: Some that have to be among those, so that a walk that goes nowhere passes for none.
WANTED = {
    roles.MODERATOR: {"/admin/moderation/case/", "/admin/moderation/sendlimit/add/", "/admin/accounts/block/"},
    roles.OFFICER: {
        *("/admin/compliance/hold/add/", "/admin/compliance/export/add/", "/admin/compliance/sweep/preview/"),
        *("/admin/compliance/auditentry/", "/admin/rights/erasure/", "/admin/messaging/conversationrecord/"),
    },
    roles.AUDITOR: {"/admin/compliance/auditentry/", "/admin/compliance/auditcheckpoint/"},
    roles.OPERATOR: {"/admin/push/push/", "/admin/django_celery_results/taskresult/", "/admin/accounts/device/"},
    "superuser": {"/admin/auth/group/add/", "/admin/mfa/authenticator/", "/admin/accounts/user/add/"},
}


class Links(HTMLParser):
    """Gathers where the links of a page lead."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.found.append(href)


@pytest.fixture
def staff(ann: Person, bob: Person, route: Callable[[], None]) -> dict[str, str]:  # noqa: F811
    """Return somebody of each role, where there is one of everything."""
    group = ann.group(bob, name="Garden plans")
    message = bob.say(group, "You are a potato").json()["server_id"]
    route()
    people = {role.replace(" ", ""): role for role in ROLES}
    known = {"password": PASSWORD, "group": group, "message": message, "ann": "ann", "ben": "bob", "staff": people}
    exec(WRITE, known)
    return {role: username for username, role in people.items()}


@pytest.mark.parametrize("role", ROLES)
def test_every_page_that_is_linked_can_be_opened(staff: dict[str, str], role: str) -> None:
    client = Client()
    client.force_login(User.objects.get(username=staff[role]))
    waiting, seen, kinds = ["/admin/"], set[str](), dict[tuple[str, str], int]()
    faults, visited = [], set[str]()
    while waiting:
        link = waiting.pop(0)
        parts = urlsplit(link)
        kind = (_NUMBER.sub("/N/", parts.path), ",".join(sorted(parse_qs(parts.query))))
        # Of all ways to filter and sort a list, those with one condition.
        if link in seen or len(parse_qs(parts.query)) > 1 or kinds.get(kind, 0) >= _FEW:
            continue
        seen.add(link)
        kinds[kind] = kinds.get(kind, 0) + 1
        answer: Any = client.get(link)
        visited.add(parts.path)
        text = answer.content.decode() if answer.status_code == 200 else ""
        if answer.status_code != 200:
            faults.append(f"{link}: {answer.status_code}")
        if re.search(r"\b(User|Device|Conversation\w*|Case|Push) object \(", text):
            faults.append(f"{link}: an object without a name")
        reader = Links()
        reader.feed(text)
        for href in reader.found:
            to = urlsplit(urljoin(link, href))
            if not to.netloc and to.path.startswith("/admin/"):
                waiting.append(to._replace(fragment="").geturl())
    assert not faults, "\n".join(faults)
    assert WANTED[role] <= visited
