"""Signing in by an OpenID provider: what it says is checked, and an account is found by who it names alone."""

import html
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from cryptography.hazmat.primitives import serialization
from django.core import mail
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import Device, Identity, User
from accounts.oidc.config import OidcConfig
from accounts.services.suspension import suspend
from messaging.domain.ids import UserId
from tests.accounts.openid import CLIENT_ID, CLIENT_SECRET, KEY, OTHER_KEY, OpenIdProvider, running
from tests.accounts.test_second_factor import code
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider(settings: Any) -> Iterator[OpenIdProvider]:
    """The provider that people of this site sign in by."""
    with running(OpenIdProvider()) as provider:
        settings.OIDC = OidcConfig(
            issuer=provider.issuer,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            name="Example Inc.",
            scopes=("openid", "profile", "email"),
            username_claim="preferred_username",
        )
        settings.SIGNUP = "open"
        yield provider


def there(browser: Client, purpose: str = "login", to: str = "") -> str:
    """Press the button, sign in there, and return where the provider leads back to."""
    page = browser.post("/accounts/oidc/begin/", {"purpose": purpose, "next": to})
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', page.content.decode())
    assert found is not None, page.content
    answer = httpx.get(html.unescape(found[1]))
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["Location"])
    return f"{back.path}?{back.query}"


def sign_in(browser: Client, purpose: str = "login", to: str = "") -> Any:
    return browser.get(there(browser, purpose, to))


def refused(answer: Any) -> bool:
    return answer.status_code == 400 and "did not work" in answer.content.decode()


# --- the way there and back -----------------------------------------------------------------------


def test_whoever_it_knows_gets_an_account_and_comes_back_to_it(provider: OpenIdProvider) -> None:
    provider.person |= {"name": "Nina N.", "email": "nina@example.org", "email_verified": True}
    first, second = Client(), Client()
    answer = sign_in(first, to="/settings/")
    assert (answer.status_code, answer["Location"]) == (302, "/settings/")
    user = User.objects.get()
    assert (user.username, user.display_name, user.email) == ("nina", "Nina N.", "nina@example.org")
    assert not user.has_usable_password()
    asked = provider.parameters
    assert asked["scope"] == "openid profile email"
    assert "prompt" not in asked
    assert first.get("/settings/").status_code == 200
    provider.person["preferred_username"] = "somebody-else"
    sign_in(second)
    assert second.get("/settings/").status_code == 200
    assert User.objects.count() == 1, "it is the number that counts, not the name"


def test_the_button_is_there_with_a_provider_only(provider: OpenIdProvider, settings: Any) -> None:
    assert "Sign in with Example Inc." in Client().get("/accounts/login/").content.decode()
    settings.OIDC = None
    assert "Example Inc." not in Client().get("/accounts/login/").content.decode()
    assert Client().post("/accounts/oidc/begin/").status_code == 404
    assert Client().get("/accounts/oidc/callback/").status_code == 404


def test_it_begins_by_a_form_of_ours_alone(provider: OpenIdProvider) -> None:
    assert Client().get("/accounts/oidc/begin/").status_code == 405
    assert Client(enforce_csrf_checks=True).post("/accounts/oidc/begin/").status_code == 403
    assert Client().post("/accounts/oidc/begin/", {"purpose": "other"}).status_code == 404


def test_nobody_is_led_elsewhere_in_the_end(provider: OpenIdProvider) -> None:
    assert sign_in(Client(), to="https://evil.example/")["Location"] == "/"


def test_claims_that_are_not_in_the_token_are_asked_for(provider: OpenIdProvider) -> None:
    provider.person = {"sub": "p-1"}
    provider.userinfo = {"sub": "p-1", "preferred_username": "Nina", "iss": "https://evil.example"}
    sign_in(Client())
    assert User.objects.get().username == "nina"
    assert Identity.objects.get().issuer == provider.issuer
    provider.userinfo["sub"] = "p-2"
    assert refused(sign_in(Client()))


def test_a_key_that_is_new_there_is_looked_for(provider: OpenIdProvider) -> None:
    sign_in(Client())
    provider.keys["k2"] = OTHER_KEY
    assert sign_in(Client()).status_code == 302
    assert provider.asked.count("/jwks") == 2
    assert provider.asked.count("/.well-known/openid-configuration") == 1


# --- what is refused ------------------------------------------------------------------------------

LIES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "of another attempt": lambda it: it | {"nonce": "x"},
    "without a nonce": lambda it: {name: value for name, value in it.items() if name != "nonce"},
    "for another client": lambda it: it | {"aud": "other"},
    "for several, and not said for whom": lambda it: it | {"aud": [CLIENT_ID, "other"]},
    "for several, and for another": lambda it: it | {"aud": [CLIENT_ID, "other"], "azp": "other"},
    "of another provider": lambda it: it | {"iss": "https://evil.example"},
    "expired": lambda it: it | {"exp": int(time.time()) - 120},
    "of tomorrow": lambda it: it | {"iat": int(time.time()) + 86_400},
    "without an end": lambda it: {name: value for name, value in it.items() if name != "exp"},
    "of nobody": lambda it: it | {"sub": ""},
    "of a number": lambda it: it | {"sub": 5},
    "of too long a name": lambda it: it | {"sub": "x" * 256},
}


@pytest.mark.parametrize("lie", LIES)
def test_an_id_token_is_refused(provider: OpenIdProvider, lie: str, caplog: pytest.LogCaptureFixture) -> None:
    provider.twist = LIES[lie]
    browser = Client()
    assert refused(sign_in(browser))
    assert browser.get("/settings/").status_code == 302
    assert not User.objects.exists()
    assert "a sign-in at the provider was refused" in caplog.text
    provider.twist = lambda claims: claims
    assert sign_in(browser).status_code == 302, "and the same without the lie is not"


_PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
FORGERIES: dict[str, Callable[[dict[str, Any]], str]] = {
    "by another key": lambda it: jwt.encode(it, OTHER_KEY, "RS256", {"kid": "k1"}),
    "by a key nobody knows": lambda it: jwt.encode(it, OTHER_KEY, "RS256", {"kid": "k9"}),
    "by nobody": lambda it: jwt.encode(it, None, "none", {"kid": "k1"}),
    "by the public key as a secret": lambda it: _hs256(it),
    "nonsense": lambda it: "x.y.z",
}


def _hs256(claims: dict[str, Any]) -> str:
    """Sign with the public key as if it were a shared secret; PyJWT itself refuses to."""
    from base64 import urlsafe_b64encode
    from hashlib import sha256
    from hmac import digest
    from json import dumps

    def part(data: bytes) -> str:
        return urlsafe_b64encode(data).rstrip(b"=").decode()

    head = f"{part(dumps({'alg': 'HS256', 'kid': 'k1'}).encode())}.{part(dumps(claims).encode())}"
    return f"{head}.{part(digest(_PUBLIC, head.encode(), sha256))}"


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_token_is_signed_by_a_key_of_the_provider(provider: OpenIdProvider, forgery: str) -> None:
    provider.forge = FORGERIES[forgery]
    assert refused(sign_in(Client()))
    assert not User.objects.exists()


def test_an_answer_is_taken_by_the_browser_that_asked_and_once(provider: OpenIdProvider) -> None:
    victim, thief = Client(), Client()
    answer = there(thief)
    assert refused(victim.get(answer)), "somebody else's answer would sign the victim in as somebody else"
    assert thief.get(answer).status_code == 302
    again = Client()
    answer = there(again)
    again.get(answer)
    again.post("/accounts/logout/")
    assert refused(again.get(answer))
    assert refused(Client().get("/accounts/oidc/callback/?code=x&state=x"))
    assert refused(Client().get("/accounts/oidc/callback/"))


def test_a_code_is_proven_by_who_asked_for_it(provider: OpenIdProvider) -> None:
    """PKCE: a code that was stolen on its way is of no use in another browser's answer."""
    mine, other = Client(), Client()
    code_of_other = re.search(r"code=([^&]+)", there(other))
    assert code_of_other is not None
    answer = re.sub(r"code=[^&]+", f"code={code_of_other[1]}", there(mine))
    assert refused(mine.get(answer))


def test_an_answer_of_another_provider_is_refused(provider: OpenIdProvider) -> None:
    browser = Client()
    answer = there(browser)
    assert refused(browser.get(re.sub(r"iss=[^&]+", "iss=https%3A%2F%2Fevil.example", answer)))
    answer = there(browser)
    assert refused(browser.get(re.sub(r"&iss=[^&]+", "", answer)))


def test_cancelling_there_leads_back(provider: OpenIdProvider) -> None:
    provider.denies = True
    browser = Client()
    page = browser.get(there(browser), follow=True)
    assert page.request["PATH_INFO"] == "/accounts/login/"
    assert "Signing in with Example Inc. was cancelled." in page.content.decode()


def test_a_provider_that_is_out_is_said_to_be(provider: OpenIdProvider) -> None:
    provider.status = 503
    browser = Client()
    assert refused(browser.post("/accounts/oidc/begin/"))
    assert refused(browser.post("/accounts/oidc/begin/"))
    assert len(provider.asked) == 1, "it is left alone for a moment"


@pytest.mark.parametrize(
    "about",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_what_it_says_of_itself_is_checked(provider: OpenIdProvider, about: dict[str, Any]) -> None:
    provider.about = about
    browser = Client()
    page = browser.post("/accounts/oidc/begin/")
    if page.status_code == 200:
        page = sign_in(browser)
    assert refused(page)
    assert not User.objects.exists()


# --- whose account it is --------------------------------------------------------------------------


@pytest.mark.parametrize("verified", [True, False])
def test_an_address_or_a_name_gives_nobody_an_account(
    provider: OpenIdProvider, make_user: Callable[..., User], verified: bool
) -> None:
    make_user("nina", email="nina@example.org")
    provider.person |= {"email": "Nina@Example.org", "email_verified": verified}
    sign_in(Client())
    assert sorted(User.objects.values_list("username", "email")) == [("nina", "nina@example.org"), ("nina-2", "")]


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ("Nina.Müller@example.org", "nina.m-ller"),
        ("x", "user-x"),
        ("", "user"),
        ("-_-", "user"),
        ("ab" * 40, "ab" * 14),
        (None, "user"),
        (5, "user-5"),
        ("name\x00with\nlines", "name-with-lines"),
    ],
)
def test_a_name_is_made_of_what_it_says(provider: OpenIdProvider, wanted: Any, got: str) -> None:
    provider.person["preferred_username"] = wanted
    provider.person["name"] = "N\x00\u202eina" + "x" * 100
    sign_in(Client())
    user = User.objects.get()
    assert user.username == got
    assert user.display_name == ("Nina" + "x" * 100)[:80]
    user.full_clean(exclude=["password"])


def test_an_account_is_linked_by_its_owner(
    provider: OpenIdProvider, make_user: Callable[..., User], jobs_run_at_once: None
) -> None:
    ann = make_user("ann", email="ann@example.org")
    browser = Client()
    browser.force_login(ann)
    asked = browser.post("/accounts/oidc/begin/", {"purpose": "link"})
    assert "/accounts/reauthenticate/" in asked["Location"], "it asks for the password first"
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": "/accounts/oidc/begin/"})
    page = browser.get(there(browser, "link"), follow=True)
    assert "You can sign in with Example Inc. now." in page.content.decode()
    assert mail.outbox[0].to == ["ann@example.org"]
    fresh = Client()
    sign_in(fresh)
    assert fresh.get("/v1/me").json()["username"] == "ann"
    assert User.objects.count() == 1
    page = browser.post("/settings/oidc/unlink", follow=True)
    assert "It signs you in no more." in page.content.decode()
    sign_in(Client())
    assert User.objects.count() == 2


def test_an_identity_is_of_one_account_and_an_account_has_one(
    provider: OpenIdProvider, make_user: Callable[..., User]
) -> None:
    sign_in(Client())
    ann = Client()
    ann.force_login(make_user("ann"))
    ann.post("/accounts/reauthenticate/", {"password": PASSWORD})
    page = ann.get(there(ann, "link"), follow=True)
    assert "belongs to another account" in page.content.decode()
    for subject, told in (("p-2", "You can sign in"), ("p-3", "linked to somebody else")):
        provider.person["sub"] = subject
        assert told in ann.get(there(ann, "link"), follow=True).content.decode()
    assert sorted(Identity.objects.values_list("user__username", "subject")) == [("ann", "p-2"), ("nina", "p-1")]


def test_whoever_has_no_password_cannot_unlink_and_gets_none_by_mail(
    provider: OpenIdProvider, jobs_run_at_once: None
) -> None:
    """Whom the provider lets in no more must not have made a second way in."""
    provider.person |= {"email": "nina@example.org", "email_verified": True}
    browser = Client()
    sign_in(browser)
    confirm(browser)
    assert "has no password" in browser.post("/settings/oidc/unlink", follow=True).content.decode()
    assert Identity.objects.count() == 1
    for path in ("/accounts/password/set/", "/accounts/password/change/"):
        assert browser.get(path, follow=True).request["PATH_INFO"] == "/settings/"
    Client().post("/accounts/password/reset/", {"email": "nina@example.org"})
    assert not any("/password/reset/key/" in letter.body for letter in mail.outbox)


@pytest.mark.parametrize(("signup", "made"), [("open", True), ("oidc", True), ("closed", False)])
def test_who_may_make_an_account(provider: OpenIdProvider, settings: Any, signup: str, made: bool) -> None:
    settings.SIGNUP = signup
    answer = sign_in(Client())
    assert (answer.status_code, User.objects.exists()) == ((302, True) if made else (403, False))
    by_password = Client().post("/accounts/signup/", {"username": "bob", "password1": "four-wet-boots", "email": ""})
    by_rest = APIClient().post("/v1/accounts", {"username": "cat", "password": "four-wet-boots"}, format="json")
    assert by_rest.status_code == (201 if signup == "open" else 403)
    assert User.objects.filter(username="bob").exists() is (signup == "open"), by_password.content
    link = "Create an account" in Client().get("/accounts/login/").content.decode()
    assert link is (signup == "open")


# --- as after a password --------------------------------------------------------------------------


def test_a_second_factor_is_asked_for(provider: OpenIdProvider) -> None:
    sign_in(Client())
    secret = generate_totp_secret()
    TOTP.activate(User.objects.get(), secret)
    browser = Client()
    assert sign_in(browser)["Location"].startswith("/accounts/2fa/authenticate/")
    assert browser.get("/settings/").status_code == 302
    browser.post("/accounts/2fa/authenticate/", {"code": code(secret)})
    assert browser.get("/settings/").status_code == 200


def test_who_is_kept_out_here_stays_out(provider: OpenIdProvider) -> None:
    sign_in(Client())
    user = User.objects.get()
    suspend(user_id=UserId(user.pk), reason="spam", until=None)
    browser = Client()
    assert "This account is suspended" in sign_in(browser).content.decode()
    User.objects.update(suspended_at=None, is_active=False)
    assert "/accounts/inactive/" in sign_in(browser)["Location"]
    assert browser.get("/settings/").status_code == 302


def confirm(browser: Client) -> None:
    """Prove at the provider who it is."""
    assert sign_in(browser, "again", "/settings/")["Location"] == "/settings/"


def test_something_grave_asks_the_provider_again(provider: OpenIdProvider) -> None:
    browser = Client()
    sign_in(browser)
    changed = {"display_name": "N", "email": "x@example.org"}
    page = browser.post("/settings/profile", changed)
    assert "Sign in with Example Inc. once more" in page.content.decode()
    assert User.objects.get().email == ""
    assert "once more" in browser.get("/accounts/2fa/webauthn/add/").content.decode()
    confirm(browser)
    assert (provider.parameters["prompt"], provider.parameters["max_age"]) == ("login", "0")
    assert browser.post("/settings/profile", changed).status_code == 302
    assert User.objects.get().email == "x@example.org"
    assert browser.get("/accounts/2fa/webauthn/add/").status_code == 200


@pytest.mark.parametrize("lie", [{"auth_time": 5}, {"auth_time": None}, {"sub": "p-2"}])
def test_an_old_sign_in_there_or_another_person_proves_nothing(provider: OpenIdProvider, lie: dict[str, Any]) -> None:
    browser = Client()
    sign_in(browser)
    provider.twist = lambda claims: claims | lie
    assert refused(sign_in(browser, "again"))
    assert "once more" in browser.post("/settings/profile", {"email": "x@example.org"}).content.decode()


def test_an_app_is_signed_in_by_a_token_from_the_settings(provider: OpenIdProvider) -> None:
    browser = Client()
    sign_in(browser)
    assert "once more" in browser.post("/settings/tokens", {"name": "Backup"}).content.decode()
    confirm(browser)
    page = browser.post("/settings/tokens", {"name": "Backup"}).content.decode()
    token = re.search(r'<code class="token" dir="ltr">([\w-]+)</code>', page)
    assert token is not None
    app = APIClient()
    app.credentials(HTTP_AUTHORIZATION=f"Bearer {token[1]}")
    assert app.get("/v1/me").json()["username"] == "nina"
    assert Device.objects.filter(name="Backup", kind="token").count() == 1
    assert token[1] not in browser.get("/settings/").content.decode()
    for name in ("", "  ", "a\nb"):
        assert browser.post("/settings/tokens", {"name": name})["Location"] == "/settings/"
    assert Device.objects.filter(kind="token").count() == 1
