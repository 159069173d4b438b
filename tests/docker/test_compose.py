"""docker/compose.yml says what it should, as far as that can be seen without a Docker engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from chatproject.env import load

_DOCKER = Path(settings.BASE_DIR) / "docker"
_MAVEN = Path(settings.BASE_DIR) / "tests" / "servers" / "maven"
_COMPOSE: dict[str, Any] = yaml.safe_load((_DOCKER / "compose.yml").read_text())
_SERVICES: dict[str, Any] = _COMPOSE["services"]
#: ${NAME:-default} and ${NAME:?what to do about it}.
_VARIABLE = re.compile(r"\$\{(\w+):([-?])([^}]*)\}")


def filled_in(value: object) -> str:
    return _VARIABLE.sub(lambda found: found[3] if found[2] == "-" else "made0up", str(value))


@pytest.mark.parametrize("name", [name for name, service in _SERVICES.items() if service["image"] == "chat"])
def test_the_settings_accept_the_environment(name: str) -> None:
    load({variable: filled_in(value) for variable, value in _SERVICES[name]["environment"].items()})


@pytest.mark.parametrize("name", [name for name, service in _SERVICES.items() if service["image"] != "chat"])
def test_images_are_pinned_and_checked(name: str) -> None:
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?", _SERVICES[name]["image"])
    assert _SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("engine", ["kafka", "cassandra"])
def test_the_tests_run_the_same_version(engine: str) -> None:
    image = _SERVICES["kafka-1" if engine == "kafka" else engine]["image"]
    versions = re.findall(r"<version>([\d.]+)</version>", (_MAVEN / f"{engine}.xml").read_text())
    assert image.partition(":")[2] in versions


def test_nothing_waits_for_a_check_that_is_not_made() -> None:
    for name, service in _SERVICES.items():
        for other, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert "test" in _SERVICES[other]["healthcheck"], f"{name} waits for {other}"


def test_balancer_and_graphs_are_published_and_only_to_this_machine() -> None:
    published = {name: service["ports"] for name, service in _SERVICES.items() if "ports" in service}
    assert set(published) == {"balancer", "grafana"}
    assert all(port.startswith("127.0.0.1:") for port in published["balancer"])
    inner = {name for name, service in _SERVICES.items() if service["networks"] == ["engines"]}
    assert inner == {"postgres", "redis", "cassandra", "kafka-1", "kafka-2", "kafka-3"}
    assert _COMPOSE["networks"]["engines"] == _COMPOSE["networks"]["monitoring"] == {"internal": True}


def test_the_example_names_every_variable_and_holds_no_secret() -> None:
    asked = {found[1]: found[2] for found in _VARIABLE.finditer((_DOCKER / "compose.yml").read_text())}
    lines = (_DOCKER / ".env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(given) == set(asked)
    assert all(not given[name] for name, kind in asked.items() if kind == "?")
