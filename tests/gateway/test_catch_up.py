"""Where batches may be lost everybody is asked to sync. An outage of Redis is in test_redis.py."""

from collections.abc import Callable

import pytest

from accounts.models import User
from chatproject import container, runtime
from messaging.gateway import pod as pods
from tests.gateway.conftest import Server


@pytest.mark.logs_errors
@pytest.mark.django_db(transaction=True)
async def test_a_batch_that_nobody_can_read_costs_everybody_one_sync(
    server: Server, make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "_QUIET_S", 0.05)
    ann, bob = [await server.sign_in(make_user(name)) for name in ("ann", "bob")]
    pod = await runtime.pod()
    for _ in range(2):
        asked = pods.RESYNCS._value.get()
        assert await container.pod_bus().send(pod.name, b"nonsense")
        for client in (ann, bob):
            await client.expect("resync")
        assert pods.RESYNCS._value.get() - asked == 2
        assert [frame["op"] for client in (ann, bob) for frame in await client.quiet()].count("resync") == 0
