"""``manage.py capacity`` as its user meets it."""

import json
from dataclasses import fields
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from messaging.domain.capacity import Demand, Prices


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("capacity", *arguments, stdout=out)
    return out.getvalue()


def test_the_table_states_pods_messages_storage_and_cost() -> None:
    lines = dict(line.rsplit("  ", 1) for line in run().splitlines())
    found = {name.strip(): value.strip() for name, value in lines.items()}
    assert found["gateway pods"] == "200"
    assert found["new messages a day"] == "25.0 TB"
    assert found["new messages a year"] == "9.1 PB"
    assert found["messages, mean"] == "578,704/s"


def test_every_figure_can_be_given_and_read_as_json() -> None:
    answer = json.loads(run("--json", "--connections=100000", "--price-gateway-pod=99"))
    assert answer["sizing"]["gateway_pods"] == 2
    assert answer["sizing"]["monthly_cost"]["gateway pods"] == 198


def test_an_impossible_figure_is_one_clear_sentence() -> None:
    with pytest.raises(CommandError, match="connections_per_pod must be positive"):
        run("--connections-per-pod=0")


def test_every_option_is_explained_in_the_docs() -> None:
    text = (Path(settings.BASE_DIR) / "docs" / "operations.md").read_text()
    options = ["--" + field.name.replace("_", "-") for field in fields(Demand) if field.name != "prices"]
    options += ["--price-" + field.name.replace("_", "-") for field in fields(Prices)]
    assert [option for option in options if f"`{option}`" not in text] == []
