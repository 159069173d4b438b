"""What monitoring asks."""

import pytest
from django.test import Client

from chatproject import runtime


def test_alive_needs_no_database(client: Client) -> None:
    assert client.get("/healthz").content == b"ok\n"


@pytest.mark.logs_errors  # Django logs every 503
def test_ready_follows_the_pod(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/readyz").status_code == 503
    monkeypatch.setattr(runtime, "is_ready", lambda: True)
    assert client.get("/readyz").status_code == 200


def test_metrics_are_prometheus_text(client: Client) -> None:
    response = client.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain")
    assert b"chat_pod_batches_total" in response.content


def test_they_only_read(client: Client) -> None:
    assert client.post("/healthz").status_code == 405
