"""A second factor is asked for wherever a password is, and the admin pages are not seen without one."""

import io
import time
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from rest_framework.test import APIClient

from accounts import mfa
from accounts.models import User
from accounts.selectors.credentials import device_for_session
from messaging import demo
from messaging.domain import ids
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def code(secret: str, *, step: int = 0) -> str:
    """Return what the app shows now, or some steps later."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + step)))


@pytest.fixture
def ann(make_user: Callable[..., User]) -> User:
    return make_user("ann", is_staff=True, is_superuser=True)


@pytest.fixture
def secret(ann: User) -> str:
    """The secret of Ann's app."""
    made: str = generate_totp_secret()
    TOTP.activate(ann, made)
    return made


@pytest.fixture(autouse=True)
def demanded(settings: Any) -> None:
    settings.ADMIN_REQUIRE_2FA = True


def sign_in(browser: Browser, next_: str = "/") -> Any:
    return browser.post("/accounts/login/", {"login": "ann", "password": PASSWORD, "next": next_})


def test_a_password_alone_gives_no_token(ann: User, secret: str) -> None:
    def ask(**more: str) -> Any:
        return APIClient().post("/v1/tokens", {"username": "ann", "password": PASSWORD, **more}, format="json")

    assert (ask().status_code, ask(code="000000").status_code) == (401, 401)
    assert "second factor" in ask().json()["detail"]
    right = code(secret)
    assert ask(code=right, password="wrong").status_code == 401
    assert ask(code=right).status_code == 201
    assert ask(code=right).status_code == 401, "a code is good once"


def test_signing_in_and_out_is_in_the_log_by_ids(ann: User, secret: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "accounts")
    api, me = APIClient(), ids.user_ref(ann.pk)
    for tried in ({"password": "tulips"}, {"password": PASSWORD, "code": "000000"}):
        assert api.post("/v1/tokens", {"username": "ann", **tried}, format="json").status_code == 401
    told = api.post("/v1/tokens", {"username": "ann", "password": PASSWORD, "code": code(secret)}, format="json")
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {told.data['token']}")
    device = told.data["device"]["id"]
    assert api.delete("/v1/tokens/current").status_code == 204
    Browser().force_login(ann)
    assert [one.message for one in caplog.records if one.name.startswith("accounts.")] == [
        "a password was refused",
        f"a code of {me} was refused",
        f"{me} signed in on {device}",
        f"{me} was signed out on {device}",
        f"{me} signed in on a page",
    ]


def test_a_password_alone_opens_no_page(ann: User, secret: str) -> None:
    browser = Browser()
    assert sign_in(browser).headers["Location"].startswith("/accounts/2fa/authenticate/")
    assert browser.get("/").status_code == 302
    assert browser.post("/accounts/2fa/authenticate/", {"code": "000000"}).status_code == 200
    assert browser.post("/accounts/2fa/authenticate/", {"code": code(secret)}).status_code == 302
    assert browser.get("/").status_code == 200
    assert browser.get("/admin/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_the_admin_pages_lead_to_a_second_factor(ann: User) -> None:
    browser = Browser()
    assert browser.get("/admin/", follow=True).request["PATH_INFO"] == "/accounts/login/"
    sign_in(browser)
    page = browser.get("/admin/", follow=True)
    assert page.request["PATH_INFO"] == "/accounts/2fa/"
    assert "The admin pages need a second factor" in page.content.decode()
    assert browser.get("/admin/accounts/user/").status_code == 302
    asked = browser.get("/accounts/2fa/totp/activate/")
    assert asked["Location"] == "/accounts/reauthenticate/?next=%2Faccounts%2F2fa%2Ftotp%2Factivate%2F"
    again = {"password": PASSWORD, "next": "/accounts/2fa/totp/activate/"}
    page = browser.post("/accounts/reauthenticate/", again, follow=True)
    assert page.request["PATH_INFO"] == "/accounts/2fa/totp/activate/"
    secret = page.context["form"].secret
    browser.post("/accounts/2fa/totp/activate/", {"code": code(secret)})
    assert secret not in str(list(Authenticator.objects.values_list("data", flat=True))), "sealed in the database"
    assert browser.get("/accounts/2fa/recovery-codes/").status_code == 200
    assert browser.get("/admin/accounts/user/").status_code == 200, "the code was given a moment ago"


def test_a_wrong_code_on_a_page_is_noted(ann: User, secret: str, caplog: pytest.LogCaptureFixture) -> None:
    browser = Browser()
    sign_in(browser)
    browser.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert f"a code of {ids.user_ref(ann.pk)} was refused (totp)" in caplog.text


def test_after_another_secret_key_codes_and_sessions_are_good(ann: User, secret: str, settings: Any) -> None:
    browser = Browser()
    browser.force_login(ann)
    device = device_for_session(browser.session.session_key)
    [recovery, *_] = RecoveryCodes.activate(ann).get_unused_codes()
    sealed = {row.type: row.data for row in Authenticator.objects.all()}
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the second one", [settings.SECRET_KEY]
    assert device is not None
    assert device_for_session(browser.session.session_key) == device
    assert browser.get("/settings/").status_code == 200
    mfa.require_code(ann, code(secret))
    call_command("reseal", stdout=io.StringIO())
    settings.SECRET_KEY_FALLBACKS = []
    mfa.require_code(ann, recovery)
    assert all(row.data != sealed[row.type] for row in Authenticator.objects.all())
    assert browser.get("/settings/").status_code == 200, "a session is made good by its first use"
    settings.SECRET_KEY = "the third one"
    with pytest.raises(CommandError, match="none of the variables"):
        call_command("reseal")


def test_a_session_without_a_code_is_asked_for_one(ann: User, secret: str) -> None:
    browser = Browser()
    browser.force_login(ann)
    answer = browser.get("/admin/accounts/user/", follow=True)
    assert answer.request["PATH_INFO"] == "/accounts/2fa/reauthenticate/"
    answer = browser.post("/accounts/2fa/reauthenticate/", {"code": code(secret), "next": "/admin/accounts/user/"})
    assert answer.headers["Location"] == "/admin/accounts/user/"
    assert browser.get("/admin/accounts/user/").status_code == 200


def test_who_is_not_of_the_staff_stays_out(make_user: Callable[..., User]) -> None:
    browser = Browser()
    browser.force_login(make_user("bob"))
    assert browser.get("/admin/", follow=True).status_code == 403


def test_the_demo_admin_and_nobody_else_needs_none(ann: User, make_user: Callable[..., User]) -> None:
    browser = Browser()
    admin = make_user(demo.ADMIN, email="admin@demo.invalid", is_staff=True, is_superuser=True)
    browser.force_login(admin)
    assert browser.get("/admin/").status_code == 302, "a real admin of this name, with that address"
    admin.set_password(demo.PASSWORD)
    admin.save()
    browser.force_login(admin)
    assert browser.get("/admin/").status_code == 200
    ann.email = "admin@demo.invalid"
    ann.save()
    browser.force_login(ann)
    assert browser.get("/admin/").status_code == 302
