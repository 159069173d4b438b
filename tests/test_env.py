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


@pytest.mark.parametrize("text", ["", "kafka", "kafka:", "kafka:9092,other", "::1:9092"])
def test_kafka_brokers_are_addresses(text: str) -> None:
    with pytest.raises(BadEnvironment, match=r"CHAT_KAFKA_BROKERS.*expected host:port"):
        load({"CHAT_KAFKA_BROKERS": text})
    assert load({"CHAT_KAFKA_BROKERS": "a.b:9092, [::1]:9093"})["CHAT_KAFKA_BROKERS"] == ["a.b:9092", "[::1]:9093"]


def test_more_replicas_in_sync_than_there_are_is_refused() -> None:
    with pytest.raises(BadEnvironment, match="CHAT_KAFKA_MIN_ISR is over CHAT_KAFKA_REPLICATION"):
        load({"CHAT_KAFKA_REPLICATION": "1"})


def test_cassandra_nodes_have_one_port() -> None:
    assert load({"CHAT_CASSANDRA_HOSTS": "a:9042, [::1]:9042"})["CHAT_CASSANDRA_HOSTS"] == [("a", 9042), ("::1", 9042)]
    for hosts in ("a", "a:x", "a:1,b:2", ""):
        with pytest.raises(BadEnvironment, match="CHAT_CASSANDRA_HOSTS"):
            load({"CHAT_CASSANDRA_HOSTS": hosts})


def test_others_variables_are_none_of_ours() -> None:
    load({"HOME": "/root", "PORT": "x", "CHAT_TEST_SERVICES": "var/services"})


def test_every_default_parses() -> None:
    environment = load({})
    assert {variable.name for variable in VARIABLES} == set(environment.values)


def test_every_variable_is_explained_once() -> None:
    assert len({variable.name for variable in VARIABLES}) == len(VARIABLES)
    assert all(variable.help.endswith(".") for variable in VARIABLES)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"CHAT_OIDC_ISSUER": "http://id.example.org"}, "expected https"),
        ({"CHAT_OIDC_ISSUER": "https://id.example.org?x"}, "without"),
        ({"CHAT_OIDC_ISSUER": "https://id.example.org"}, "CHAT_OIDC_CLIENT_ID: needed"),
        (
            {"CHAT_OIDC_ISSUER": "https://id.example.org", "CHAT_OIDC_CLIENT_ID": "x", "CHAT_OIDC_SCOPES": "email"},
            "openid is needed",
        ),
        ({"CHAT_SIGNUP": "oidc"}, "CHAT_OIDC_ISSUER: needed"),
        ({"CHAT_SIGNUP": "nobody"}, "expected one of open, oidc, closed"),
        ({"CHAT_PASSKEY_DOMAIN": "https://example.org"}, "expected a domain"),
        ({"CHAT_PASSKEY_DOMAIN": "example.org:443"}, "expected a domain"),
    ],
)
def test_signing_in_is_configured_as_a_whole(variables: dict[str, str], told: str) -> None:
    with pytest.raises(BadEnvironment, match=told):
        load(variables)
    load({"CHAT_OIDC_ISSUER": "https://id.example.org/realms/x", "CHAT_OIDC_CLIENT_ID": "x", "CHAT_SIGNUP": "oidc"})
