"""The accounts API: sign-up, tokens, devices, profile, search, blocks."""

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from django.utils import timezone
from rest_framework.settings import api_settings
from rest_framework.test import APIClient

from accounts.models import Block, Device, User, token_digest
from accounts.selectors import people
from accounts.services.devices import describe
from messaging.domain import ids
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def signed_in(user: User, password: str = PASSWORD, device: str = "phone") -> tuple[APIClient, dict[str, Any]]:
    """Return a client with a bearer token of its own, and the answer that gave it."""
    answer = APIClient().post(
        "/v1/tokens", {"username": user.username, "password": password, "device": device}, format="json"
    )
    assert answer.status_code == 201, answer.json()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['token']}")
    return client, answer.json()


def test_sign_up_gives_a_token_that_works() -> None:
    answer = APIClient().post(
        "/v1/accounts", {"username": "Nina", "password": "four-wet-boots", "display_name": "Nina H"}, format="json"
    )
    assert answer.status_code == 201
    body = answer.json()
    assert body["user"] == {
        "id": body["user"]["id"],
        "username": "nina",
        "display_name": "Nina H",
        "is_bot": False,
        "picture": None,
    }
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {body['token']}")
    assert client.get("/v1/me").json()["username"] == "nina"
    user = User.objects.get(username="nina")
    assert user.password.startswith("argon2")
    assert not Device.objects.filter(token_digest=body["token"]).exists(), "the token itself is not stored"
    assert Device.objects.get(user=user).token_digest == token_digest(body["token"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"username": "x", "password": "four-wet-boots"}, 400, "invalid"),
        ({"username": "has space", "password": "four-wet-boots"}, 400, "invalid"),
        ({"username": "okname", "password": "short"}, 400, "invalid"),
        ({"username": "okname", "password": "1234567890123"}, 400, "invalid"),
        ({"username": "okname"}, 400, "invalid"),
        ({"username": 5, "password": "four-wet-boots"}, 400, "invalid"),
        ({"username": "taken", "password": "four-wet-boots"}, 409, "conflict"),
    ],
)
def test_sign_up_refuses(make_user: Callable[..., User], body: dict[str, Any], status: int, code: str) -> None:
    make_user("taken")
    answer = APIClient().post("/v1/accounts", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.django_db(transaction=True)
def test_one_of_two_who_race_for_a_name_gets_it() -> None:
    barrier = Barrier(2)
    answers: list[int] = []

    def run() -> None:
        barrier.wait()
        body = {"username": "same", "password": "four-wet-boots"}
        answers.append(APIClient().post("/v1/accounts", body, format="json").status_code)
        connections.close_all()

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409]


def test_unknown_user_and_wrong_password_look_alike(make_user: Callable[..., User]) -> None:
    make_user("ann")
    wrong = APIClient().post("/v1/tokens", {"username": "ann", "password": "no"}, format="json")
    unknown = APIClient().post("/v1/tokens", {"username": "nobody", "password": "no"}, format="json")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


def test_an_inactive_user_gets_no_token_and_loses_theirs(make_user: Callable[..., User]) -> None:
    user = make_user("ann")
    client, _ = signed_in(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert client.get("/v1/me").status_code == 401
    assert APIClient().post("/v1/tokens", {"username": "ann", "password": PASSWORD}, format="json").status_code == 401


def test_tries_of_a_password_are_limited_per_name(make_user: Callable[..., User]) -> None:
    make_user("ann")
    make_user("bob")
    limit = int(settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]["login"].split("/")[0])
    for _ in range(limit):
        APIClient().post("/v1/tokens", {"username": "ann", "password": "no"}, format="json")
    refused = APIClient().post("/v1/tokens", {"username": "ann", "password": PASSWORD}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.json()["retry_after"] > 0
    other = APIClient().post("/v1/tokens", {"username": "bob", "password": PASSWORD}, format="json")
    assert other.status_code == 201


def test_failures_are_limited_per_name_wherever_they_come_from(
    make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user("ann")
    make_user("bob")
    monkeypatch.setattr(api_settings, "NUM_PROXIES", 1)

    def ask(number: int, name: str = "ann", password: str = "no") -> int:
        client = APIClient(HTTP_X_FORWARDED_FOR=f"10.0.{number // 250}.{number % 250}")
        return int(client.post("/v1/tokens", {"username": name, "password": password}, format="json").status_code)

    assert {ask(number, password=PASSWORD) for number in range(70)} == {201}, "a success is no failure"
    assert [ask(100 + number) for number in range(61)][-2:] == [401, 429]
    assert ask(200, "ANN", PASSWORD) == 429
    assert ask(200, "bob", PASSWORD) == 201


def _tries(**headers: str) -> list[int]:
    """Try a wrong password as often as is allowed, and once more; a header may change with every try."""
    limit = int(settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]["login"].split("/")[0])
    body = {"username": "ann", "password": "no"}
    return [
        APIClient(**{name: value.format(n) for name, value in headers.items()})
        .post("/v1/tokens", body, format="json")
        .status_code
        for n in range(limit + 1)
    ]


def test_a_header_that_anybody_can_write_gives_no_new_tries(make_user: Callable[..., User]) -> None:
    make_user("ann")
    assert _tries(HTTP_X_FORWARDED_FOR="10.0.0.{}")[-2:] == [401, 429]


def test_behind_a_proxy_the_address_that_it_adds_counts(
    make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user("ann")
    monkeypatch.setattr(api_settings, "NUM_PROXIES", 1)
    assert _tries(HTTP_X_FORWARDED_FOR="10.0.0.{}, 10.1.1.1")[-2:] == [401, 429], "the rest is the client's own word"
    assert _tries(HTTP_X_FORWARDED_FOR="10.0.0.{}")[-1] == 401


@pytest.mark.parametrize("name", ["ANN", "has space", "x\x01", "ü", "x" * 250])
def test_tries_are_counted_whatever_the_name(make_user: Callable[..., User], name: str) -> None:
    make_user("ann")
    limit = int(settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]["login"].split("/")[0])
    for spelling in (name, name.lower()):
        for _ in range(limit // 2):
            body = {"username": spelling, "password": "no"}
            assert APIClient().post("/v1/tokens", body, format="json").status_code == 401
    assert APIClient().post("/v1/tokens", {"username": name, "password": "no"}, format="json").status_code == 429


def test_tries_of_the_present_password_are_limited_per_user(make_user: Callable[..., User]) -> None:
    """Whoever found an unlocked phone must not find out the password."""
    limit = int(settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]["login"].split("/")[0])
    (phone, _), (other, _) = signed_in(make_user("ann")), signed_in(make_user("bob"))
    for number in range(limit):
        body = {"username": f"x{number}", "current": "no", "new": "nine-blue-cups"}
        assert phone.post("/v1/me/password", body, format="json").status_code == 400
    right = {"username": "y", "current": PASSWORD, "new": "nine-blue-cups"}
    refused = phone.post("/v1/me/password", right, format="json")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert other.post("/v1/me/password", right, format="json").status_code == 204


@pytest.mark.parametrize("header", ["Bearer", "Bearer nonsense", "Bearer a b", "Bearer \xff"])
def test_a_bad_token_is_401(header: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header)
    answer = client.get("/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_an_expired_token_is_401(make_user: Callable[..., User]) -> None:
    client, _ = signed_in(make_user("ann"))
    assert client.get("/v1/me").status_code == 200
    Device.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get("/v1/me").status_code == 401


def test_a_device_is_listed_and_revoked(make_user: Callable[..., User]) -> None:
    user = make_user("ann")
    phone, _ = signed_in(user, device="phone")
    tablet, tablet_answer = signed_in(user, device="tablet")
    listed = phone.get("/v1/devices").json()["results"]
    assert {(row["name"], row["current"]) for row in listed} == {("phone", True), ("tablet", False)}
    assert phone.delete(f"/v1/devices/{tablet_answer['device']['id']}").status_code == 204
    assert tablet.get("/v1/me").status_code == 401
    assert [row["name"] for row in phone.get("/v1/devices").json()["results"]] == ["phone"]
    assert phone.delete(f"/v1/devices/{tablet_answer['device']['id']}").status_code == 404


def test_a_neighbours_device_is_not_found(make_user: Callable[..., User]) -> None:
    mine, _ = signed_in(make_user("ann"))
    theirs, answer = signed_in(make_user("bob"))
    for ref in (answer["device"]["id"], "d_nonsense", ids.device_ref(12345)):
        assert mine.delete(f"/v1/devices/{ref}").status_code == 404
    assert theirs.get("/v1/me").status_code == 200


def test_signing_out_and_signing_out_elsewhere(make_user: Callable[..., User]) -> None:
    user = make_user("ann")
    first, _ = signed_in(user)
    second, _ = signed_in(user)
    for proof in ({}, {"password": "tulips"}):
        assert first.post("/v1/devices/revoke-others", proof, format="json").status_code == 400
    assert second.get("/v1/me").status_code == 200
    assert first.post("/v1/devices/revoke-others", {"password": PASSWORD}, format="json").status_code == 204
    assert second.get("/v1/me").status_code == 401
    assert first.delete("/v1/tokens/current").status_code == 204
    assert first.get("/v1/me").status_code == 401


def test_a_new_password_keeps_this_device_and_ends_the_others(make_user: Callable[..., User]) -> None:
    user = make_user("ann")
    first, _ = signed_in(user)
    second, _ = signed_in(user)
    wrong = first.post("/v1/me/password", {"current": "no", "new": "nine-blue-cups"}, format="json")
    weak = first.post("/v1/me/password", {"current": PASSWORD, "new": "123"}, format="json")
    assert (wrong.status_code, weak.status_code) == (400, 400)
    assert second.get("/v1/me").status_code == 200
    changed = first.post("/v1/me/password", {"current": PASSWORD, "new": "nine-blue-cups"}, format="json")
    assert changed.status_code == 204
    assert first.get("/v1/me").status_code == 200
    assert second.get("/v1/me").status_code == 401
    signed_in(user, "nine-blue-cups")


def test_the_profile_is_changed_field_by_field(make_user: Callable[..., User]) -> None:
    client, _ = signed_in(make_user("ann"))
    assert client.patch("/v1/me", {"display_name": "Ann B"}, format="json").json()["display_name"] == "Ann B"
    answer = client.patch("/v1/me", {"share_presence": False}, format="json").json()
    assert (answer["share_presence"], answer["display_name"]) == (False, "Ann B")
    assert client.patch("/v1/me", {"about": "Mostly outdoors"}, format="json").json()["about"] == "Mostly outdoors"
    assert client.patch("/v1/me", {"email": "nonsense"}, format="json").status_code == 400
    assert client.patch("/v1/me", {"about": "x" * 141}, format="json").status_code == 400
    assert client.patch("/v1/me", {"username": "root", "is_staff": True}, format="json").json()["username"] == "ann"
    assert not User.objects.get(username="ann").is_staff


def test_to_whom_presence_is_shown_is_chosen(make_user: Callable[..., User]) -> None:
    client, _ = signed_in(make_user("ann"))

    def answer(**changes: Any) -> tuple[str, bool]:
        told = client.patch("/v1/me", changes, format="json").json()
        return told["presence"], told["share_presence"]

    assert answer(about="") == ("contacts", True)
    assert answer(presence="everyone") == ("everyone", True)
    # As older clients say it; who shows it again shows it to whom it was shown before.
    assert answer(share_presence=False) == ("nobody", False)
    assert answer(share_presence=True) == ("everyone", True)
    assert answer(presence="nobody", share_presence=True) == ("nobody", False)
    assert client.patch("/v1/me", {"presence": "friends"}, format="json").status_code == 400


def test_another_address_needs_the_password(make_user: Callable[..., User]) -> None:
    """To it a new password can be sent: whoever has a token for a minute must not take the account."""
    user = make_user("ann", email="ann@example.org")
    client, _ = signed_in(user)

    def ask(**body: str) -> int:
        return int(client.patch("/v1/me", body, format="json").status_code)

    assert (ask(email="x@example.org"), ask(email="x@example.org", password="tulips"), ask(email="")) == (400,) * 3
    assert ask(email="Ann@Example.org", display_name="Ann B") == 200, "the same one"
    assert ask(email="x@example.org", password=PASSWORD) == 200
    user.refresh_from_db()
    assert (user.email, user.display_name) == ("x@example.org", "Ann B")


def test_an_account_without_a_password_changes_it_in_a_browser(make_user: Callable[..., User]) -> None:
    user = make_user("ann")
    client, _ = signed_in(user)
    user.set_unusable_password()
    user.save()
    answer = client.patch("/v1/me", {"email": "x@example.org", "password": ""}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_tries_of_the_password_with_an_address_are_few(make_user: Callable[..., User]) -> None:
    client, _ = signed_in(make_user("ann"))
    answers = [
        client.patch("/v1/me", {"email": "x@example.org", "password": f"no{n}"}, format="json").status_code
        for n in range(11)
    ]
    assert answers == [400] * 10 + [429]
    assert client.patch("/v1/me", {"display_name": "Ann"}, format="json").status_code == 200


def test_hidden_presence_is_not_shared(make_user: Callable[..., User]) -> None:
    shown, hidden = make_user("ann"), make_user("bob", share_presence=False)
    assert people.shares_presence([ids.UserId(shown.pk), ids.UserId(hidden.pk)]) == {shown.pk}


def test_search_finds_by_the_beginning_of_names(make_user: Callable[..., User]) -> None:
    client, _ = signed_in(make_user("ann"))
    make_user("bella", display_name="Bella Stone")
    make_user("carl", display_name="Carl Bell")
    make_user("abel")
    make_user("bess", is_active=False)
    hater = make_user("beth")
    Block.objects.create(owner=hater, target=User.objects.get(username="ann"))

    def found(query: str) -> list[str]:
        return [row["username"] for row in client.get("/v1/users", {"q": query}).json()["results"]]

    assert found("BE") == ["bella", "carl"]
    assert found("stone") == ["bella"]
    assert found("ann") == []
    assert found("%") == []
    for bad in ("", " ", "x" * 81, "\x00"):
        assert client.get("/v1/users", {"q": bad}).status_code == 400


def test_a_person_is_shown_by_id(make_user: Callable[..., User]) -> None:
    client, _ = signed_in(make_user("ann"))
    other = make_user("bob", display_name="Bob")
    shown = client.get(f"/v1/users/{ids.user_ref(other.pk)}").json()
    assert shown == {
        "id": ids.user_ref(other.pk),
        "username": "bob",
        "display_name": "Bob",
        "is_bot": False,
        "picture": None,
    }
    for ref in ("u_nonsense", ids.user_ref(77)):
        assert client.get(f"/v1/users/{ref}").status_code == 404


def test_blocks_are_made_listed_and_undone(make_user: Callable[..., User]) -> None:
    ann, bob = make_user("ann"), make_user("bob")
    client, _ = signed_in(ann)
    ref = ids.user_ref(bob.pk)
    for _ in range(2):
        assert client.put(f"/v1/blocks/{ref}").status_code == 204
    assert [row["id"] for row in client.get("/v1/blocks").json()["results"]] == [ref]
    assert people.blocked_either_way(ids.UserId(bob.pk), ids.UserId(ann.pk))
    assert client.put(f"/v1/blocks/{ids.user_ref(ann.pk)}").status_code == 404
    assert client.put("/v1/blocks/u_nonsense").status_code == 404
    for _ in range(2):
        assert client.delete(f"/v1/blocks/{ref}").status_code == 204
    assert not people.blocked_either_way(ids.UserId(bob.pk), ids.UserId(ann.pk))


@pytest.mark.parametrize(
    "path", ["me", "devices", "users?q=a", "blocks", "users/u_AAAAAAAAAAE", "conversations", "conversations/c_x"]
)
def test_nothing_is_shown_to_nobody(path: str) -> None:
    assert APIClient().get(f"/v1/{path}").status_code == 401


def test_a_session_needs_the_csrf_token_to_write(make_user: Callable[..., User]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("ann"))
    assert client.get("/v1/me").status_code == 200
    assert client.patch("/v1/me", {"display_name": "X"}, content_type="application/json").status_code == 403


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("curl/8.0", "App"),
    ],
)
def test_a_device_is_named_as_a_person_would(agent: str, name: str) -> None:
    assert describe(agent) == name
