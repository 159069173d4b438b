"""What the tests stand on."""

import os

import pytest
from django.conf import settings


def test_every_worker_has_its_own_data_directory() -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    assert worker is None or settings.DATA_DIR.name == worker


@pytest.mark.slow
def test_browsers_run_last(request: pytest.FixtureRequest) -> None:
    late = [item.get_closest_marker("e2e") is not None for item in request.session.items]
    assert late == sorted(late)
    assert all(
        "browser" not in getattr(it, "fixturenames", ()) or it.get_closest_marker("e2e") for it in request.session.items
    )
