"""Bodies over the limit are refused before they are kept, declared or not, and their client reads why."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from messaging.api.parsing import MAX_BODY_BYTES
from tests.gateway.conftest import Server

pytestmark = pytest.mark.django_db(transaction=True)


async def _chunks(total: int) -> AsyncIterator[bytes]:
    for _ in range(0, total, 65_536):
        yield b" " * 65_536


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_the_limit_is_refused(server: Server, make_user: Callable[..., Any], declared: bool) -> None:
    size = 10 * MAX_BODY_BYTES
    client = server.http(server.token(make_user("ann")))
    content: Any = b" " * size if declared else _chunks(size)
    answer = await client.post("/v1/conversations", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "too_large"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    # It was this request that was wrong.
    assert (await client.get("/v1/me")).status_code == 200


async def test_a_body_of_the_limit_reaches_the_application(server: Server, make_user: Callable[..., Any]) -> None:
    client = server.http(server.token(make_user("ann")))
    size = MAX_BODY_BYTES
    answer = await client.post("/v1/conversations", content=_chunks(size), headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, "blanks are no JSON"
