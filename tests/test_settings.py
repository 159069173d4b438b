"""What the settings make of the environment."""

import json
import os
import subprocess
import sys
from pathlib import Path


def behind_tls(directory: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a process that stands behind a TLS proxy."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("CHAT_")},
        "CHAT_HTTPS": "1",
        "CHAT_DATA_DIR": str(directory),
        "DJANGO_SETTINGS_MODULE": "chatproject.settings",
        **variables,
    }


def test_behind_tls_cookies_are_this_hosts_alone(tmp_path: Path) -> None:
    names = ["SESSION_COOKIE_NAME", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_NAME", "CSRF_COOKIE_SECURE", "PROXIES"]
    script = f"""
import json
from django.conf import settings
print(json.dumps([getattr(settings, name) for name in {names}]))
"""
    told = subprocess.run(  # our own interpreter
        [sys.executable, "-c", script],
        env=behind_tls(tmp_path),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(told.stdout) == ["__Host-sessionid", True, "__Host-csrftoken", True, 1]
