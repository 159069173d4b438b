"""Gets programs: from Debian's packages as root, and Java libraries from Maven as anybody."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.servers.base import Missing, locked

_POMS = Path(__file__).parent / "maven"


def apt_install(*packages: str) -> None:
    """Install Debian packages; raises Missing where that is impossible."""
    wanted = " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Missing(f"{wanted} is missing; as root on Debian: apt-get install {wanted}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # apt has a lock of its own, but does not wait for it.
    with locked(Path(tempfile.gettempdir()) / "chat-servers-apt.lock"):
        for command in (
            ["apt-get", "update", "-q"],
            ["apt-get", "install", "-yq", "--no-install-recommends", *packages],
        ):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
            if done.returncode:
                raise Missing(f"apt-get install {wanted} failed:\n{done.stderr[-2000:]}")


def cache() -> Path:
    """Return where downloads are kept, shared by all checkouts: CHAT_TEST_CACHE, or ``~/.cache/chat-servers``."""
    return Path(os.environ.get("CHAT_TEST_CACHE") or Path.home() / ".cache" / "chat-servers")


def java(*releases: int) -> str:
    """Return the path of a Java of one of ``releases``, the first of them preferred; installs that where it may.

    Raises:
        Missing: there is none.
    """
    if _find_java(releases) is None:
        apt_install(f"openjdk-{releases[0]}-jre-headless")
    found = _find_java(releases)
    if found is None:
        raise Missing(f"no Java {' or '.join(map(str, releases))} in JAVA_HOME, on the PATH or in /usr/lib/jvm")
    return found


def _find_java(releases: tuple[int, ...]) -> str | None:
    places = [Path(home) / "bin" / "java" for home in [os.environ.get("JAVA_HOME")] if home]
    places += [Path(path) for path in [shutil.which("java")] if path]
    places += sorted(Path("/usr/lib/jvm").glob("*/bin/java"))
    for place in places:
        if place.exists():
            told = subprocess.run([place, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
            release = re.search(r'version "(\d+)', told)
            if release and int(release[1]) in releases:
                return str(place)
    return None


def maven_libraries(name: str) -> Path:
    """Return the directory with the jars that ``maven/NAME.xml`` asks for, downloaded the first time.

    Raises:
        Missing: Maven is missing, or it could not get them.
    """
    pom = _POMS / f"{name}.xml"
    kept = cache() / f"{name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    with locked(cache() / f"{name}.lock"):
        if not kept.exists():
            if shutil.which("mvn") is None:
                apt_install("maven")
            with tempfile.TemporaryDirectory(dir=cache()) as scratch:
                jars = Path(scratch) / "jars"
                command = ["mvn", "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
                command.append(f"-DoutputDirectory={jars}")
                done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
                if done.returncode:
                    raise Missing(f"Maven could not download {name}:\n{(done.stdout + done.stderr)[-2000:]}")
                jars.rename(kept)
    return kept
