"""Sign-up, login, passwords and settings in a browser's terms: forms, redirects, sessions."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core import mail
from django.test import Client

from accounts.models import Block, Device, User
from accounts.selectors.credentials import device_for_session
from messaging.domain import ids
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def browser(user: User, password: str = PASSWORD) -> Client:
    """Return a browser in which the user has signed in by the form."""
    client = Client(HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
    answer = client.post("/accounts/login/", {"login": user.username, "password": password})
    assert answer.status_code == 302, answer.content
    return client


def again(client: Client, path: str, body: dict[str, str]) -> Any:
    """Send a form which asks for the password, give it, and return the page that it leads to in the end."""
    asked = client.post(path, body)
    assert asked["Location"] == f"/accounts/reauthenticate/?{urlencode({'next': path})}"
    answer = client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": path}, follow=True)
    assert answer.status_code == 200, answer.content
    return answer


def test_sign_up_by_the_form_signs_in() -> None:
    client = Client()
    answer = client.post("/accounts/signup/", {"username": "Nina", "password1": "four-wet-boots", "email": ""})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    user = User.objects.get()
    assert user.username == "nina"
    assert user.password.startswith("argon2")
    assert client.get("/settings/").status_code == 200


@pytest.mark.parametrize("username", ["x", "has space", "ünder", "taken", "TAKEN"])
def test_sign_up_says_what_is_wrong_with_a_name(make_user: Callable[..., User], username: str) -> None:
    make_user("taken")
    answer = Client().post("/accounts/signup/", {"username": username, "password1": "four-wet-boots", "email": ""})
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()
    assert User.objects.count() == 1


def test_login_fails_alike_and_is_limited(make_user: Callable[..., User]) -> None:
    make_user("ann")
    pages = [
        Client().post("/accounts/login/", {"login": name, "password": "no"}).content.decode()
        for name in ("ann", "nobody")
    ]
    errors = [re.findall(r'role="alert">(.*?)</div>', page, re.S) for page in pages]
    assert errors[0] == errors[1] != []
    for _ in range(5):
        Client().post("/accounts/login/", {"login": "ann", "password": "no"})
    page = Client().post("/accounts/login/", {"login": "ann", "password": PASSWORD})
    assert page.status_code == 200, "even the right password has to wait now"
    assert "Too many" in page.content.decode()


def test_a_session_is_a_device_and_ends_with_it(make_user: Callable[..., User]) -> None:
    user = make_user("ann")
    first, second = browser(user), browser(user)
    first.get("/settings/")
    page = second.get("/settings/").content.decode()
    assert page.count("Firefox on Linux") >= 2
    other = Device.objects.get(session_key=first.session.session_key)
    path = f"/settings/devices/{ids.device_ref(other.pk)}/revoke"
    assert second.post(path).status_code == 302
    assert first.get("/settings/").status_code == 200, "it asks for the password first"
    again(second, path, {})
    assert first.get("/settings/").status_code == 302, "signed out"
    assert second.get("/settings/").status_code == 200


def test_one_may_sign_out_everywhere_else(make_user: Callable[..., User]) -> None:
    user = make_user("ann")
    here, there, stranger = browser(user), browser(user), browser(make_user("bob"))
    for client in (here, there, stranger):
        client.get("/settings/")
    page = again(here, "/settings/devices/revoke-others", {}).content.decode()
    assert "Signed out on 1 other device." in page
    assert [client.get("/settings/").status_code for client in (here, there, stranger)] == [200, 302, 200]


def test_a_neighbours_device_is_left_alone(make_user: Callable[..., User]) -> None:
    ann, bob = browser(make_user("ann")), browser(make_user("bob"))
    bob.get("/settings/")
    device = Device.objects.get(user__username="bob")
    again(ann, f"/settings/devices/{ids.device_ref(device.pk)}/revoke", {})
    assert bob.get("/settings/").status_code == 200


def test_logout_ends_the_device(make_user: Callable[..., User]) -> None:
    client = browser(make_user("ann"))
    client.get("/settings/")
    key = client.session.session_key
    assert device_for_session(key) is not None
    client.post("/accounts/logout/")
    assert device_for_session(key) is None
    assert Device.objects.get().revoked_at is not None


def test_a_new_password_keeps_this_browser_and_ends_the_other(make_user: Callable[..., User]) -> None:
    user = make_user("ann")
    here, there = browser(user), browser(user)
    for client in (here, there):
        client.get("/settings/")
    before = device_for_session(here.session.session_key)
    new = "nine-blue-cups"
    answer = here.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert answer.status_code == 302, answer.content
    assert here.get("/settings/").status_code == 200
    assert there.get("/settings/").status_code == 302
    # The same device, so that its sockets stay open.
    assert before is not None
    assert device_for_session(here.session.session_key) == before


def test_a_forgotten_password_is_reset_by_mail(make_user: Callable[..., User], jobs_run_at_once: None) -> None:
    user = make_user("ann", email="ann@example.org")
    old = browser(user)
    assert Client().post("/accounts/password/reset/", {"email": "ann@example.org"}).status_code == 302
    assert Client().post("/accounts/password/reset/", {"email": "nobody@example.org"}).status_code == 302
    [letter] = [letter for letter in mail.outbox if letter.to == ["ann@example.org"]]
    found = re.search(r"http://[^/]+(/\S+)", letter.body)
    assert found is not None
    client = Client()
    form = client.get(found[1], follow=True)
    new = "nine-blue-cups"
    action = form.redirect_chain[-1][0] if form.redirect_chain else found[1]
    assert client.post(action, {"password1": new, "password2": new}).status_code == 302
    assert old.get("/settings/").status_code == 302, "signed out everywhere"
    browser(user, new)


@pytest.mark.parametrize(("minutes", "good"), [(59, True), (61, False)])
def test_a_link_for_a_new_password_is_good_for_an_hour(
    make_user: Callable[..., User], jobs_run_at_once: None, monkeypatch: pytest.MonkeyPatch, minutes: int, good: bool
) -> None:
    make_user("ann", email="ann@example.org")
    Client().post("/accounts/password/reset/", {"email": "ann@example.org"})
    found = re.search(r"http://[^/]+(/\S+)", mail.outbox[0].body)
    assert found is not None
    later = datetime.now() + timedelta(minutes=minutes)
    monkeypatch.setattr(PasswordResetTokenGenerator, "_now", lambda self: later)
    page = Client().get(found[1], follow=True).content.decode()
    assert ('name="password1"' in page) is good


def test_settings_save_the_profile(make_user: Callable[..., User]) -> None:
    client = browser(make_user("ann"))
    body = {"display_name": "Ann B", "about": "Outdoors", "email": "a@example.org", "presence": "nobody"}
    again(client, "/settings/profile", body)
    user = User.objects.get()
    assert (user.display_name, user.about, user.email) == ("Ann B", "Outdoors", "a@example.org")
    assert user.presence == "nobody"
    page = client.get("/settings/").content.decode()
    assert '<option value="nobody" selected>' in page
    assert client.post("/settings/profile", {"display_name": "x", "email": "nonsense"}).status_code == 400


def test_settings_ask_about_previews_only_where_the_operator_has_them(
    make_user: Callable[..., User], settings: Any
) -> None:
    client = browser(make_user("ann"))
    body = {"display_name": "Ann", "email": ""}
    assert settings.LINK_PREVIEWS is False
    assert 'name="show_previews"' not in client.get("/settings/").content.decode()
    client.post("/settings/profile", body)
    assert User.objects.get().show_previews, "what was not asked for stays"
    settings.LINK_PREVIEWS = True
    assert 'name="show_previews"' in client.get("/settings/").content.decode()
    client.post("/settings/profile", body)
    assert not User.objects.get().show_previews


def test_another_address_is_told_to_the_one_before(make_user: Callable[..., User], jobs_run_at_once: None) -> None:
    user = make_user("ann", email="ann@example.org")
    ann = browser(user)
    for address in ("ann@example.org", "Ann@Example.org"):
        assert ann.post("/settings/profile", {"display_name": "Ann", "email": address})["Location"] == "/settings/"
    taken = ann.post("/settings/profile", {"display_name": "Ann", "email": "new@example.org"})
    assert "/reauthenticate/" in taken["Location"]
    assert (User.objects.get().email, mail.outbox) == ("Ann@Example.org", []), "it asks for the password first"
    again(ann, "/settings/profile", {"display_name": "Ann", "email": "new@example.org"})
    [letter] = mail.outbox
    assert letter.to == ["Ann@Example.org"]
    assert "was changed" in letter.subject
    assert "new@example.org" not in letter.body
    proof = {"email": "", "password": PASSWORD}
    assert ann.patch("/v1/me", proof, content_type="application/json").status_code == 200
    assert mail.outbox[1].to == ["new@example.org"]


def test_an_address_is_changed_in_the_settings_alone(make_user: Callable[..., User]) -> None:
    ann = browser(make_user("ann", email="ann@example.org"))
    answer = ann.post("/accounts/email/", {"action_add": "", "email": "x@example.org"})
    assert (answer.status_code, answer["Location"]) == (302, "/settings/")
    assert EmailAddress.objects.filter(email="x@example.org").count() == 0


def test_settings_unblock(make_user: Callable[..., User]) -> None:
    ann, bob = make_user("ann"), make_user("bob", display_name="Bob B")
    Block.objects.create(owner=ann, target=bob)
    client = browser(ann)
    assert "Bob B" in client.get("/settings/").content.decode()
    client.post(f"/settings/blocks/{ids.user_ref(bob.pk)}/unblock")
    assert not Block.objects.exists()


@pytest.mark.parametrize("path", ["/settings/", "/accounts/password/change/"])
def test_pages_of_the_account_ask_for_a_login(path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 302
    assert "/accounts/login/" in answer["Location"]


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"])
def test_pages_have_a_strict_policy_and_nothing_inline(path: str) -> None:
    answer = Client().get(path)
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer["X-Frame-Options"] == "DENY"
    page = answer.content.decode()
    assert not re.search(r"<script(?![^>]* src=)", page)
    assert " style=" not in page


def test_the_session_cookie_is_out_of_scripts_reach(make_user: Callable[..., User]) -> None:
    cookie = browser(make_user("ann")).cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
