"""The environment is checked as a whole, before anything starts."""

import pytest

from chatproject.env import VARIABLES, BadEnvironment, load


def test_all_bad_values_are_reported_together() -> None:
    with pytest.raises(BadEnvironment) as caught:
        load({"CHAT_SEND_RATE": "fast", "CHAT_SERVER": "apache", "CHAT_DEBUG": "maybe"})
    message = str(caught.value)
    assert "CHAT_SEND_RATE='fast'" in message
    assert "CHAT_SERVER='apache': expected one of uvicorn, daphne" in message
    assert "CHAT_DEBUG='maybe': expected 1 or 0" in message


def test_an_unknown_variable_is_refused_beside_bad_values() -> None:
    with pytest.raises(BadEnvironment) as caught:
        load({"CHAT_SEND_RAET": "5", "CHAT_SEND_BURST": "0"})
    assert "CHAT_SEND_RAET: unknown variable" in str(caught.value)
    assert "CHAT_SEND_BURST='0': expected a positive whole number" in str(caught.value)


def test_others_variables_are_none_of_ours() -> None:
    load({"HOME": "/root", "PORT": "x", "CHAT_TEST_SERVICES": "var/services"})


def test_every_default_parses() -> None:
    environment = load({})
    assert {variable.name for variable in VARIABLES} == set(environment.values)


def test_every_variable_is_explained_once() -> None:
    assert len({variable.name for variable in VARIABLES}) == len(VARIABLES)
    assert all(variable.help.endswith(".") for variable in VARIABLES)
