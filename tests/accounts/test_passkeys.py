"""Passkeys sign in alone, or after the password; what a browser sends is checked, and never breaks the server."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from rest_framework.test import APIClient

from accounts import forms
from accounts.models import User
from accounts.services.suspension import suspend
from messaging.domain.ids import UserId, user_ref
from tests.accounts.authenticator import Key, options_of
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db

ADD, AUTHENTICATE, LOGIN = "/accounts/2fa/webauthn/add/", "/accounts/2fa/authenticate/", "/accounts/2fa/webauthn/login/"


def browser(user: User | None = None) -> Client:
    """Return a browser on this machine, whose owner has just given the password again."""
    client = Client(HTTP_HOST="localhost", HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
    if user is not None:
        client.force_login(user)
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


@pytest.fixture
def ann(make_user: Callable[..., User]) -> User:
    return make_user("ann", is_staff=True, is_superuser=True)


def add(client: Client, key: Key, *, alone: bool = True, name: str = "") -> Any:
    credential = key.created(options_of(client.get(ADD)), alone=alone)
    return client.post(ADD, {"name": name, "credential": credential, **({"passwordless": "on"} if alone else {})})


@pytest.fixture
def key(ann: User) -> Key:
    """A passkey of Ann's."""
    made = Key()
    assert add(browser(ann), made)["Location"] == "/accounts/2fa/recovery-codes/"
    return made


def sign_in(client: Client, key: Key, **more: str) -> Any:
    options = client.get(LOGIN, headers={"accept": "application/json"}).json()["request_options"]["publicKey"]
    return client.post(LOGIN, {"credential": key.got(options), **more})


def after_password(client: Client) -> Any:
    answer = client.post("/accounts/login/", {"login": "ann", "password": PASSWORD})
    assert answer["Location"].startswith(AUTHENTICATE)
    return client.get(AUTHENTICATE)


def use(client: Client, page: str, key: Key, **more: str) -> Any:
    return client.post(page, {"credential": key.got(options_of(client.get(page))), **more})


def test_a_passkey_signs_in_alone_and_opens_the_admin_pages(ann: User, key: Key, settings: Any) -> None:
    settings.ADMIN_REQUIRE_2FA = True
    client = browser()
    assert sign_in(client, key, next="/settings/")["Location"] == "/settings/"
    assert client.get("/v1/me").json()["username"] == "ann"
    assert client.get("/admin/accounts/user/").status_code == 200


def test_a_passkey_finishes_what_a_password_begins(ann: User, key: Key, settings: Any) -> None:
    settings.ADMIN_REQUIRE_2FA = True
    client = browser()
    assert "Use a passkey" in after_password(client).content.decode()
    assert client.get("/settings/").status_code == 302, "a password alone does not sign in"
    assert use(client, AUTHENTICATE, key).status_code == 302
    assert client.get("/admin/accounts/user/").status_code == 200


def test_a_key_without_a_pin_is_a_second_factor_only(ann: User) -> None:
    key = Key(verifies=False)
    client = browser(ann)
    assert add(client, key, alone=True).status_code == 200, "not enough to sign in alone"
    assert not Authenticator.objects.exists()
    add(client, key, alone=False)
    assert "Only with the password" in client.get("/accounts/2fa/").content.decode()
    other = browser()
    sign_in(other, key)
    assert other.get("/settings/").status_code == 302
    after_password(other)
    use(other, AUTHENTICATE, key)
    assert other.get("/settings/").status_code == 200


def test_the_staff_is_led_to_it(ann: User, settings: Any) -> None:
    settings.ADMIN_REQUIRE_2FA = True
    client = browser(ann)
    page = client.get("/admin/", follow=True)
    assert page.request["PATH_INFO"] == "/accounts/2fa/"
    assert "The admin pages need a second factor" in page.content.decode()
    key = Key()
    add(client, key)
    assert client.get("/admin/accounts/user/").status_code == 200, "it was used a moment ago"
    later = browser()
    later.force_login(ann)
    again = "/accounts/2fa/webauthn/reauthenticate/"
    assert later.get("/admin/accounts/user/", follow=True).request["PATH_INFO"] == again
    assert use(later, again, key, next="/admin/accounts/user/")["Location"] == "/admin/accounts/user/"
    assert later.get("/admin/accounts/user/").status_code == 200


def test_a_passkey_is_added_renamed_and_removed_by_who_proved_who_they_are(ann: User, key: Key) -> None:
    one = Authenticator.objects.get(type="webauthn")
    assert one.wrap().name == "Firefox on Linux"
    client = browser()
    client.force_login(ann)
    pages = [ADD, f"/accounts/2fa/webauthn/keys/{one.pk}/edit/", f"/accounts/2fa/webauthn/keys/{one.pk}/remove/"]
    for page in pages:
        assert "/reauthenticate/" in client.get(page)["Location"]
        assert "/reauthenticate/" in client.post(page, {"name": "x"})["Location"]
    client = browser(ann)
    assert client.post(pages[1], {"name": "Office " + "x" * 100}, follow=True).request["PATH_INFO"] == "/accounts/2fa/"
    one.refresh_from_db()
    assert one.wrap().name == ("Office " + "x" * 100)[:60]
    assert client.post(pages[2]).status_code == 302
    assert not Authenticator.objects.exists(), "the recovery codes go with the last"
    other = browser()
    sign_in(other, key)
    assert other.get("/settings/").status_code == 302


def test_a_neighbours_passkey_is_not_found(ann: User, key: Key, make_user: Callable[..., User]) -> None:
    bob = browser(make_user("bob"))
    pk = Authenticator.objects.get(type="webauthn").pk
    for page in ("edit", "remove"):
        assert bob.post(f"/accounts/2fa/webauthn/keys/{pk}/{page}/", {"name": "x"}).status_code == 404
    client = browser()
    after_password(client)
    bobs = Key()
    add(bob, bobs)
    assert use(client, AUTHENTICATE, bobs).status_code == 200
    assert client.get("/settings/").status_code == 302


def test_somebody_elses_handle_signs_in_nobody(ann: User, key: Key, make_user: Callable[..., User]) -> None:
    bobs = Key()
    add(browser(make_user("bob")), bobs)
    bobs.handle = key.handle
    client = browser()
    sign_in(client, bobs)
    assert client.get("/settings/").status_code == 302


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://other.localhost"},
        {"origin": "https://localhost"},
        {"domain": "evil.example"},
        {"verifies": False},
        {"id": b"unknown"},
        {"handle": b"zzzz"},
        {"handle": b"\xff\xfe"},
        {"handle": b"9" * 200},
        {"handle": b""},
    ],
)
def test_an_answer_that_is_not_for_us_is_refused(key: Key, change: dict[str, Any]) -> None:
    for name, value in change.items():
        setattr(key, name, value)
    client = browser()
    page = client.get(sign_in(client, key)["Location"])
    assert client.get("/settings/").status_code == 302
    assert "This passkey was not accepted." in page.content.decode()


def test_an_answer_is_good_once(key: Key) -> None:
    client = browser()
    options = client.get(LOGIN, headers={"accept": "application/json"}).json()["request_options"]["publicKey"]
    credential = key.got(options)
    assert client.post(LOGIN, {"credential": credential}).status_code == 302
    client.post("/accounts/logout/")
    client.post(LOGIN, {"credential": credential})
    assert client.get("/settings/").status_code == 302


_GOOD = {"id": "AA", "rawId": "AA", "type": "public-key"}
GARBAGE = [
    "", "x", "null", "5", "[]", "{}", '"x"', "[[]]", json.dumps(_GOOD), json.dumps({**_GOOD, "response": None}),
    json.dumps({**_GOOD, "response": []}), json.dumps({**_GOOD, "response": {}}),
    json.dumps({**_GOOD, "response": {"clientDataJSON": 5}}),
    json.dumps({**_GOOD, "response": {"clientDataJSON": "!!"}}),
    json.dumps({**_GOOD, "response": {"clientDataJSON": "e30"}}),
    json.dumps({**_GOOD, "response": {"clientDataJSON": "eyJvcmlnaW4iOiJodHRwOi8vbG9jYWxob3N0In0"}}),
    json.dumps(
        {
            **_GOOD,
            "response": {
                "clientDataJSON": "eyJvcmlnaW4iOiJodHRwOi8vbG9jYWxob3N0In0",
                "attestationObject": "oA",
                "authenticatorData": "AA",
                "signature": "AA",
                "userHandle": "AA",
            },
        }
    ),
    "[" * 50_000, "1e999", '{"response": {"clientDataJSON": "' + "A" * 100_000 + '"}}',
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(GARBAGE)))
def test_nonsense_is_refused_at_every_form(ann: User, key: Key, number: int) -> None:
    body = {"credential": GARBAGE[number]}
    client = browser()
    client.get(LOGIN, headers={"accept": "application/json"})
    assert client.post(LOGIN, body)["Location"] == "/accounts/login/"
    after_password(client)
    assert client.post(AUTHENTICATE, body).status_code == 200
    client = browser(ann)
    for page in (ADD, "/accounts/2fa/webauthn/reauthenticate/"):
        client.get(page)
        assert client.post(page, {**body, "passwordless": "on"}).status_code == 200
    assert Authenticator.objects.filter(type="webauthn").count() == 1


def test_one_has_so_many_and_no_more(ann: User, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "MAX_PASSKEYS", 2)
    client = browser(ann)
    assert add(client, Key()).status_code == 302
    assert "There are 2 already." in add(client, Key()).content.decode()


def test_whoever_is_kept_out_stays_out(ann: User, key: Key) -> None:
    suspend(user_id=UserId(ann.pk), reason="spam", until=None)
    assert "This account is suspended" in sign_in(browser(), key).content.decode()
    User.objects.update(suspended_at=None, is_active=False)
    client = browser()
    assert "/accounts/inactive/" in sign_in(client, key)["Location"]
    assert client.get("/settings/").status_code == 302


def test_rest_takes_a_recovery_code_of_who_has_passkeys_only(ann: User, key: Key) -> None:
    def ask(**more: str) -> int:
        answer = APIClient().post("/v1/tokens", {"username": "ann", "password": PASSWORD, **more}, format="json")
        return int(answer.status_code)

    [good, *_] = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()
    assert (ask(), ask(code="00000000"), ask(code=good), ask(code=good)) == (401, 401, 201, 401)


def test_a_refused_passkey_is_noted_by_id(ann: User, key: Key, caplog: pytest.LogCaptureFixture) -> None:
    client = browser()
    after_password(client)
    use(client, AUTHENTICATE, Key())
    assert f"a code of {user_ref(ann.pk)} was refused (webauthn)" in caplog.text


def test_tries_are_few(ann: User, key: Key) -> None:
    client = browser()
    after_password(client)
    for _ in range(5):
        use(client, AUTHENTICATE, Key())
    assert "Too many" in use(client, AUTHENTICATE, key).content.decode()


def test_passkeys_belong_to_the_domain_of_the_configuration(ann: User, settings: Any) -> None:
    settings.PASSKEY_DOMAIN = "example.org"
    assert options_of(browser(ann).get(ADD))["rp"]["id"] == "example.org"
    settings.PASSKEY_DOMAIN = ""
    assert options_of(browser(ann).get(ADD))["rp"]["id"] == "localhost"
