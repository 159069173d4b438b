"""What the tests stand on."""

import os

from django.conf import settings


def test_every_worker_has_its_own_data_directory() -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    assert worker is None or settings.DATA_DIR.name == worker
