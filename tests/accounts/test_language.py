"""Pages, mails and pushes are in the language of who reads them."""

from collections.abc import Callable

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.utils import translation

from accounts.language import language_of, speaking_to
from accounts.models import User
from accounts.services.notices import mail_notice
from accounts.services.people import update_profile
from messaging.domain.errors import Conflict
from messaging.rights import erasures

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"
WORDS = {"en": "Sign in", "de": "Anmelden", "es": "Iniciar sesión", "ar": "تسجيل الدخول", "zh-hans": "登录"}


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.mark.parametrize(("language", "word"), WORDS.items())
def test_a_page_is_as_the_browser_asks(language: str, word: str) -> None:
    answer = Client().get(LOGIN, headers={"Accept-Language": f"fr, {language};q=0.8"})
    direction = "rtl" if language == "ar" else "ltr"
    assert f'<html lang="{language}" dir="{direction}">' in answer.text
    assert word in answer.text
    assert answer.headers["Content-Language"] == language
    assert {"Accept-Language", "Cookie"} <= set(answer.headers["Vary"].split(", "))


def test_who_asks_for_nothing_that_there_is_gets_the_installations() -> None:
    for asked in ({}, {"Accept-Language": "fr"}, {"Accept-Language": "*"}, {"Accept-Language": "x" * 5_000}):
        assert '<html lang="en" dir="ltr">' in Client().get(LOGIN, headers=asked).text


def test_one_answer_leaves_the_next_alone() -> None:
    assert translation.get_language() == "en"
    Client().get(LOGIN, headers={"Accept-Language": "de"})
    assert translation.get_language() == "en"


def test_the_choice_of_the_sign_in_page_is_remembered_and_leads_back() -> None:
    client = Client()
    chosen = client.post("/language", {"language": "es", "next": "/accounts/signup/"})
    assert chosen.headers["Location"] == "/accounts/signup/"
    cookie = chosen.cookies[settings.LANGUAGE_COOKIE_NAME]
    assert (cookie.value, cookie["httponly"], cookie["samesite"]) == ("es", True, "Lax")
    assert '<html lang="es"' in client.get(LOGIN, headers={"Accept-Language": "de"}).text


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_the_choice_leads_nowhere_else(elsewhere: str) -> None:
    answer = Client().post("/language", {"language": "klingon", "next": elsewhere})
    assert answer.status_code == 302
    assert "evil" not in answer.headers["Location"]
    assert not answer.cookies
    assert Client().get("/language").status_code == 405


def test_the_account_comes_before_the_browser(make_user: Callable[..., User]) -> None:
    client = browser(make_user("ann", language="de"))
    page = client.get("/settings/", headers={"Accept-Language": "es"}).text
    assert '<html lang="de"' in page
    assert "Einstellungen" in page
    assert "js/i18n/de.js" in page


def test_an_english_page_loads_no_catalogue(make_user: Callable[..., User]) -> None:
    client = browser(make_user("ann"))
    assert "js/i18n/" not in client.get("/").text
    assert client.get("/", headers={"Accept-Language": "zh-CN"}).text.count("js/i18n/zh-hans.js") == 1


def test_the_settings_save_the_language_and_answer_in_it(make_user: Callable[..., User]) -> None:
    client = browser(make_user("ann"))
    saved = client.post("/settings/profile", {"display_name": "Ann", "email": "", "language": "de"}, follow=True)
    assert User.objects.get().language == "de"
    assert "Gespeichert." in saved.text
    # Also where nobody is signed in.
    assert client.cookies[settings.LANGUAGE_COOKIE_NAME].value == "de"
    client.post("/settings/profile", {"display_name": "Ann", "email": "", "language": ""})
    assert User.objects.get().language == ""
    assert client.cookies[settings.LANGUAGE_COOKIE_NAME].value == ""
    refused = client.post("/settings/profile", {"display_name": "Ann", "email": "", "language": "fr"})
    assert (refused.status_code, User.objects.get().language) == (400, "")


def test_rest_has_the_language(make_user: Callable[..., User]) -> None:
    client = browser(make_user("ann"))
    assert client.get("/v1/me").json()["language"] == ""
    answer = client.patch("/v1/me", {"language": "ar"}, content_type="application/json")
    assert (answer.status_code, answer.json()["language"]) == (200, "ar")
    assert client.patch("/v1/me", {"language": "fr"}, content_type="application/json").status_code == 400
    assert client.patch("/v1/me", {"language": ""}, content_type="application/json").json()["language"] == ""


def test_a_new_account_speaks_the_language_of_the_page() -> None:
    body = {"username": "ann", "password1": "four-wet-boots"}
    assert Client().post("/accounts/signup/", body, headers={"Accept-Language": "es"}).status_code == 302
    assert User.objects.get().language == "es"


def test_refusals_of_rest_stay_english(make_user: Callable[..., User]) -> None:
    client = browser(make_user("ann", language="de"))
    answer = client.get("/v1/conversations/c_AAAAAAAAAAA").json()
    assert (answer["code"], answer["detail"]) == ("not_found", "no such conversation")


def test_a_language_that_is_there_no_more_is_the_installations(make_user: Callable[..., User]) -> None:
    assert language_of(make_user("ann", language="tlh")) == "en"
    with speaking_to(make_user("bob", language="de")):
        assert translation.gettext("Group") == "Gruppe"


def test_a_notice_is_in_the_language_of_who_gets_it(make_user: Callable[..., User], jobs_run_at_once: None) -> None:
    ann = make_user("ann", email="ann@example.org", language="de")
    update_profile(user=ann, email="new@example.org")
    [sent] = mail.outbox
    assert sent.subject == "Die E-Mail-Adresse deines Kontos wurde geändert"
    assert "Das Konto ann hat" in sent.body
    mail_notice(user=ann, subject="plain", text="all of %(what)s", what="5 %")
    assert mail.outbox[1].body == "all of 5 %"


def test_the_end_of_an_account_is_told_with_a_day_in_its_language(
    make_user: Callable[..., User], jobs_run_at_once: None, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    ann = make_user("ann", email="ann@example.org", language="es")
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        erasure = erasures.request_confirmed(user=ann)
    [sent] = mail.outbox
    assert sent.subject == "Tu cuenta se eliminará"
    assert f" {erasure.due_at.day} de " in sent.body
    assert f" de {erasure.due_at.year}. " in sent.body
    with pytest.raises(Conflict):
        erasures.request_confirmed(user=ann)
