"""Alert rules and dashboard: well-formed, about metrics that exist, and each alert has its place in the runbook."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from drills.catalogue import DRILLS
from tests.test_metrics import ours

_BASE = Path(settings.BASE_DIR)
_PROMETHEUS = _BASE / "docker" / "prometheus"
_RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((_PROMETHEUS / "rules.yml").read_text())["groups"] for rule in group["rules"]
]
_DASHBOARD: dict[str, Any] = json.loads((_BASE / "docker" / "grafana" / "dashboards" / "chat.json").read_text())
_COMPOSE: dict[str, Any] = yaml.safe_load((_BASE / "docker" / "compose.yml").read_text())["services"]


def panels() -> Iterator[dict[str, Any]]:
    return (panel for panel in _DASHBOARD["panels"] if panel["type"] != "row")


def expressions() -> dict[str, str]:
    """Return every expression, by where it stands."""
    found = {rule.get("alert") or rule["record"]: rule["expr"] for rule in _RULES}
    for panel in panels():
        found |= {f"{panel['title']}/{target['refId']}": target["expr"] for target in panel["targets"]}
    return found


def test_every_name_is_one_that_a_process_has_or_a_rule_records() -> None:
    known = set(ours())
    for name, metric in ours().items():
        if metric._type == "histogram":
            known |= {f"{name}_{part}" for part in ("bucket", "sum", "count")}
    recorded = {rule["record"] for rule in _RULES if "record" in rule}
    unknown = {
        f"{where}: {name}"
        for where, expression in expressions().items()
        for name in re.findall(r"\bchat[_:][a-z0-9_:]+", expression)
        if name not in known | recorded
    }
    assert not unknown


def test_labels_are_those_of_the_metrics() -> None:
    metrics = ours()
    for where, expression in expressions().items():
        for name, selector in re.findall(r"\b(chat_[a-z_]+)\{([^}]*)\}", expression):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            labels = set(metrics.get(name, metrics.get(base))._labelnames) | {"le"}  # type: ignore[union-attr]
            assert set(re.findall(r"(\w+)[=!]~?\"", selector)) - {"instance", "job"} <= labels, where


def test_every_metric_that_tells_of_trouble_is_on_the_dashboard() -> None:
    shown = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    missing = {
        name
        for name in ours()
        if re.search(r"_(dropped|failures|failed|refused|held|out|lag|skew|poison|strangers|missed|waiting)(_|$)", name)
        and name not in shown
    }
    # Each has its gauge there, and says how often.
    assert missing == {"chat_router_failures_total", "chat_dispatcher_failures_total"}


def test_every_alert_says_what_to_do() -> None:
    runbook = (_BASE / "docs" / "runbook.md").read_text()
    places = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", runbook, flags=re.MULTILINE)
    }
    for rule in _RULES:
        if "alert" in rule:
            page, _, place = rule["annotations"]["runbook"].partition("#")
            assert page == "docs/runbook.md"
            assert place in places, rule["alert"]
            assert rule["alert"] in runbook
            assert rule["labels"]["severity"] in {"page", "ticket"}
    named = set(re.findall(r"\bChat[A-Z]\w+", runbook))
    assert named == {rule["alert"] for rule in _RULES if "alert" in rule}


def test_every_drill_has_its_place_in_the_runbook() -> None:
    rows = [line for line in (_BASE / "docs" / "runbook.md").read_text().splitlines() if line.startswith("| [")]
    named = [name for row in rows for name in re.findall(r"`([a-z-]+)`", row.split("|")[3])]
    assert sorted(named) == sorted(DRILLS)


def test_prometheus_asks_every_process_on_its_port() -> None:
    jobs = yaml.safe_load((_PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    asked = {(name, found["port"]) for job in jobs for found in job["dns_sd_configs"] for name in found["names"]}
    processes = {name: it for name, it in _COMPOSE.items() if it["image"] == "chat" and name != "migrate"}
    assert asked == {(name, int(it["environment"]["CHAT_METRICS_PORT"])) for name, it in processes.items()}


# --- by Prometheus' own program -----------------------------------------------------------------------


@pytest.fixture(scope="session")
def promtool() -> str:
    unpacked = _BASE / "var" / "promtool" / "usr" / "bin" / "promtool"
    found = shutil.which("promtool") or (str(unpacked) if unpacked.exists() else None)
    if found is None:
        pytest.skip("promtool is not here; `make promtool` unpacks it from Debian's package")
    return found


def run(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_can_read_them(promtool: str) -> None:
    run(promtool, "check", "config", str(_PROMETHEUS / "prometheus.yml"))


def test_alerts_fire_when_they_should(promtool: str) -> None:
    run(promtool, "test", "rules", str(_PROMETHEUS / "rules_test.yml"))


def test_prometheus_can_read_the_dashboard(promtool: str, tmp_path: Path) -> None:
    rules = [
        {"record": f"panel{number}", "expr": target["expr"].replace("$__rate_interval", "1m")}
        for number, target in enumerate(target for panel in panels() for target in panel["targets"])
    ]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run(promtool, "check", "rules", str(file))
