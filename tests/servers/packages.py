"""Gets programs: from Debian's packages as root, and Java libraries from Maven as anybody."""

import os
import shutil
import subprocess

from tests.servers.base import CannotStart


def apt_install(*packages: str) -> None:
    """Install Debian packages; raises CannotStart where that is impossible."""
    wanted = " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise CannotStart(f"missing; as root on Debian: apt-get install {wanted}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-yq", "--no-install-recommends", *packages]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            raise CannotStart(f"apt-get install {wanted} failed:\n{done.stderr[-2000:]}")
