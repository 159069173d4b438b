"""Who is suspended is out within a second, at every door, hears why and until when, and comes back as they were."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.test import Client as Browser
from django.utils import timezone

from accounts.models import User
from accounts.services import suspension
from messaging.domain.ids import UserId
from tests.conftest import PASSWORD
from tests.gateway.conftest import Server
from tests.gateway.test_sign_out import Home, do, home  # noqa: F401  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)
WHY = "Threats in the group <Lake>"


async def suspend(user: User, **more: Any) -> None:
    until = more.get("until", timezone.now() + timedelta(days=3))
    await do(lambda: suspension.suspend(user_id=UserId(user.pk), reason=WHY, until=until))


async def test_every_socket_closes_within_a_second_and_no_other(home: Home) -> None:  # noqa: F811
    await suspend(home.ann)
    async with asyncio.timeout(1):
        for name in ("phone", "tablet", "browser"):
            assert await home.sockets[name].close_code() == 4402, name
    assert await home.sockets["bob"].quiet() == []


async def test_no_door_opens_and_each_says_why(home: Home) -> None:  # noqa: F811
    await suspend(home.ann)
    await home.sockets["phone"].close_code()
    for headers in ({"Authorization": f"Bearer {home.tokens['phone']}"}, home.cookie):
        again = await home.server.connect(additional_headers=headers)
        refused = await again.refusal("suspended")
        assert WHY in refused["detail"]
        assert 0 < refused["retry_after"] <= 3 * 86_400
        assert await again.close_code() == 4402
    rest = home.server.http(home.tokens["phone"])
    poll = {"Chat-Session": "x" * 20}
    for answer in (
        await rest.get("/v1/me"),
        await rest.post("/v1/poll", json={"open": True}, headers=poll),
        await rest.post("/v1/tokens", json={"username": "ann", "password": PASSWORD}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "suspended"), answer.text
        assert WHY in answer.json()["detail"]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{home.server.port}", headers=home.cookie) as browser:
        page = await browser.get("/")
        assert (page.status_code, "This account is suspended" in page.text) == (403, True), page.text
        assert (await browser.get("/v1/me")).json()["code"] == "suspended"


async def test_the_pages_say_why_to_whoever_knows_the_password(home: Home) -> None:  # noqa: F811
    await suspend(home.ann, until=None)

    def look() -> None:
        for path in ("/", "/settings/"):
            page = home.browser.get(path)
            assert page.status_code == 403
            assert "Threats in the group &lt;Lake&gt;" in page.content.decode()
        assert home.browser.get("/v1/me").json()["code"] == "suspended"
        elsewhere = Browser()
        wrong = elsewhere.post("/accounts/login/", {"login": "ann", "password": "wrong"})
        assert "suspended" not in wrong.content.decode()
        right = elsewhere.post("/accounts/login/", {"login": "ann", "password": PASSWORD})
        assert right.status_code == 403
        assert "Until moderators decide otherwise" in right.content.decode()
        assert elsewhere.get("/v1/me").status_code in (401, 403)
        assert home.browser.post("/accounts/logout/").status_code == 302

    await do(look)


async def test_whoever_is_let_in_again_is_still_signed_in(home: Home) -> None:  # noqa: F811
    await suspend(home.ann)
    await home.sockets["phone"].close_code()
    await do(lambda: suspension.lift(user_id=UserId(home.ann.pk)))
    again = await home.server.connect(additional_headers={"Authorization": f"Bearer {home.tokens['phone']}"})
    await again.expect("ready")


async def test_a_suspension_ends_by_itself(server: Server, make_user: Any) -> None:
    past = timezone.now() - timedelta(seconds=1)
    ann = make_user("ann", suspended_at=past, suspended_until=past, suspension_reason="over")
    socket = await server.connect(additional_headers={"Authorization": f"Bearer {server.token(ann)}"})
    await socket.expect("ready")
