"""Whatever signs a device out closes its sockets within a second (4401), and no other's."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client as Browser
from django.utils import timezone

from accounts.models import Device, User, token_digest
from chatproject import celery
from messaging.domain import ids
from tests.conftest import PASSWORD, outside_the_loop
from tests.gateway.conftest import Client, Server

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "nine-blue-cups"


class Home:
    """Ann's phone and tablet, each with a token, her browser with a session, and Bob's phone; each has a socket."""

    def __init__(self, server: Server, ann: User, bob: User) -> None:
        self.server = server
        self.ann, self.bob = ann, bob
        self.browser = Browser(HTTP_USER_AGENT="Firefox Linux")
        self.session_key = ""
        self.tokens: dict[str, str] = {}
        self.sockets: dict[str, Client] = {}

    async def connect(self) -> None:
        for name, user in (("phone", self.ann), ("tablet", self.ann), ("bob", self.bob)):
            self.tokens[name] = self.server.token(user)
            self.sockets[name] = await self.server.connect(
                additional_headers={"Authorization": f"Bearer {self.tokens[name]}"}
            )
        await do(lambda: self.browser.force_login(self.ann))
        self.session_key = self.browser.cookies[settings.SESSION_COOKIE_NAME].value
        self.sockets["browser"] = await self.server.connect(additional_headers=self.cookie)
        for socket in self.sockets.values():
            await socket.expect("ready")

    @property
    def cookie(self) -> dict[str, str]:
        origin = f"http://127.0.0.1:{self.server.port}"
        return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={self.session_key}", "Origin": origin}

    async def rest(self, name: str, method: str, path: str, body: Any = None) -> None:
        answer = await self.server.http(self.tokens[name]).request(method, f"/v1/{path}", json=body)
        assert answer.status_code == 204, answer.text

    async def page(self, path: str, **fields: str) -> None:
        answer = await do(lambda: self.browser.post(path, fields))
        assert answer.status_code == 302, answer.content

    async def device(self, name: str) -> str:
        row = await do(lambda: Device.objects.get(token_digest=token_digest(self.tokens[name])))
        return ids.device_ref(row.pk)


async def do(function: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(outside_the_loop, function)


@pytest.fixture
async def home(server: Server, make_user: Any) -> Home:
    made = Home(server, make_user("ann", email="ann@example.org"), make_user("bob"))
    await made.connect()
    return made


async def _this_device(home: Home) -> None:
    await home.rest("phone", "DELETE", "tokens/current")


async def _another_device(home: Home) -> None:
    await home.rest("tablet", "DELETE", f"devices/{await home.device('phone')}")


async def _all_others(home: Home) -> None:
    await home.rest("tablet", "POST", "devices/revoke-others", {"password": PASSWORD})


async def _password_by_rest(home: Home) -> None:
    await home.rest("tablet", "POST", "me/password", {"current": PASSWORD, "new": NEW})


async def _password_by_rest_in_the_browser(home: Home) -> None:
    def change() -> None:
        body = {"current": PASSWORD, "new": NEW}
        answer = home.browser.post("/v1/me/password", body, content_type="application/json")
        assert answer.status_code == 204, answer.content
        assert home.browser.get("/v1/me").status_code == 200, "the browser stays signed in"

    await do(change)


async def _log_out(home: Home) -> None:
    await home.page("/accounts/logout/")


async def _password_by_page(home: Home) -> None:
    await home.page("/accounts/password/change/", oldpassword=PASSWORD, password1=NEW, password2=NEW)


async def _forgotten_password(home: Home) -> None:
    def reset() -> None:
        celery.app.conf.task_always_eager = True
        try:
            Browser().post("/accounts/password/reset/", {"email": "ann@example.org"})
        finally:
            celery.app.conf.task_always_eager = False
        found = re.search(r"http://[^/]+(/\S+)", mail.outbox[-1].body)
        assert found is not None
        elsewhere = Browser()
        form = elsewhere.get(found[1], follow=True)
        assert elsewhere.post(form.redirect_chain[-1][0], {"password1": NEW, "password2": NEW}).status_code == 302

    await do(reset)


async def _revoked_on_the_page(home: Home) -> None:
    path = f"/settings/devices/{await home.device('phone')}/revoke"
    # It asks who it is once more, and goes on from there.
    await home.page(path)
    await do(lambda: home.browser.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": path}, follow=True))


@pytest.mark.parametrize(
    ("sign_out", "closed"),
    [
        (_this_device, {"phone"}),
        (_another_device, {"phone"}),
        (_all_others, {"phone", "browser"}),
        (_password_by_rest, {"phone", "browser"}),
        (_password_by_rest_in_the_browser, {"phone", "tablet"}),
        (_log_out, {"browser"}),
        (_password_by_page, {"phone", "tablet"}),
        (_forgotten_password, {"phone", "tablet", "browser"}),
        (_revoked_on_the_page, {"phone"}),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "-".join(sorted(value)),
)
async def test_a_sign_out_closes_its_sockets_and_no_other(
    home: Home, sign_out: Callable[[Home], Awaitable[None]], closed: set[str]
) -> None:
    await sign_out(home)
    async with asyncio.timeout(1):
        for name in closed:
            assert await home.sockets[name].close_code() == 4401, name
    for name in home.sockets.keys() - closed:
        assert await home.sockets[name].quiet() == [], name


async def test_what_was_signed_out_does_not_come_back(home: Home) -> None:
    await _all_others(home)
    for name in ("phone", "browser"):
        await home.sockets[name].close_code()
    for headers in ({"Authorization": f"Bearer {home.tokens['phone']}"}, home.cookie):
        again = await home.server.connect(additional_headers=headers)
        await again.refusal("unauthenticated")
        assert await again.close_code() == 4401
    assert (await home.server.http(home.tokens["phone"]).get("/v1/me")).status_code == 401


@pytest.mark.parametrize("change", [_password_by_page, _password_by_rest_in_the_browser])
async def test_after_a_new_password_the_browser_is_still_the_same_device(
    home: Home, change: Callable[[Home], Awaitable[None]]
) -> None:
    """Its session has another key; signing out ends the socket that was opened with the old one."""
    await change(home)
    assert await home.sockets["browser"].quiet() == []
    await _log_out(home)
    async with asyncio.timeout(1):
        assert await home.sockets["browser"].close_code() == 4401


async def test_what_ends_without_a_word_closes_its_sockets_too(
    limits: Callable[..., None], start_server: Callable[[], Awaitable[Server]], make_user: Any
) -> None:
    """A token that expires, and one that was revoked while the word of it was lost."""
    limits(recheck_s=0.05)
    home = Home(await start_server(), make_user("ann"), make_user("bob"))
    await home.connect()
    now = timezone.now()
    for name, change in (("phone", {"expires_at": now}), ("tablet", {"revoked_at": now})):
        row = Device.objects.filter(token_digest=token_digest(home.tokens[name]))
        await do(lambda row=row, change=change: row.update(**change))
        assert await home.sockets[name].close_code() == 4401
    await do(lambda: User.objects.filter(pk=home.bob.pk).update(is_active=False))
    assert await home.sockets["bob"].close_code() == 4401
    assert await home.sockets["browser"].quiet() == []
