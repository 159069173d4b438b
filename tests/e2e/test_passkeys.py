"""Passkeys and the OpenID provider in a browser, whose authenticator is Chromium's virtual one."""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.accounts.openid import CLIENT_ID, CLIENT_SECRET, OpenIdProvider, running
from tests.e2e.conftest import PASSWORD, Server
from tests.e2e.pages import name
from tests.process.stacks import EmbeddedStack

if TYPE_CHECKING:
    from pathlib import Path

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

ONLINE = "#app[data-connection=online]"


def authenticator(page: Any, **options: Any) -> Callable[..., Any]:
    """Give the page an authenticator which its owner has unlocked; return how to speak to it."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    phone = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
        **options,
    }
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": phone})["authenticatorId"]

    def ask(method: str, **more: Any) -> Any:
        return session.send(f"WebAuthn.{method}", {"authenticatorId": made, **more})

    return ask


def sign_up(page: Any, url: str) -> str:
    """Make an account by the form; return its name."""
    who = name("ann")
    page.goto(f"{url}/accounts/signup/")
    page.get_by_label("User name").fill(who)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.locator(ONLINE)).to_be_visible()
    return who


def add_passkey(page: Any, url: str, *, alone: bool = True) -> None:
    page.goto(f"{url}/settings/")
    page.get_by_role("link", name="Passkeys and second factor").click()
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("Sign in with it alone").set_checked(alone)
    page.get_by_role("button", name="Add it").click()


def sign_out(page: Any, url: str) -> None:
    page.goto(f"{url}/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading")).to_have_text("Welcome back")


@pytest.fixture
def url(server: Server) -> str:
    """The server by a name: a passkey belongs to a domain, which an address is not."""
    return server.url.replace("127.0.0.1", "localhost")


def test_a_passkey_is_made_signs_in_is_renamed_and_removed(visit: Callable[..., Any], url: str) -> None:
    page = visit()
    ask = authenticator(page)
    who = sign_up(page, url)
    add_passkey(page, url)
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    [credential] = ask("getCredentials")["credentials"]
    assert (credential["rpId"], credential["isResidentCredential"]) == ("localhost", True)
    sign_out(page, url)
    page.goto(f"{url}/settings/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    expect(page.get_by_text(f"@{who}")).to_be_visible()

    page.get_by_role("link", name="Passkeys and second factor").click()
    page.get_by_role("link", name="Rename Chrome").click()
    # Here it is asked for the password: a sign-in is no proof that it is still the same person.
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("Name").fill("Ann's laptop")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("listitem").filter(has_text="Ann's laptop")).to_contain_text("last used")
    page.get_by_role("link", name="Remove Ann's laptop").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_role("listitem")).to_have_count(0)
    sign_out(page, url)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("This passkey was not accepted.")).to_be_visible()


def test_a_security_key_without_a_pin_goes_with_the_password(visit: Callable[..., Any], url: str) -> None:
    page = visit()
    authenticator(page, transport="usb", hasResidentKey=False, hasUserVerification=False, isUserVerified=False)
    who = sign_up(page, url)
    add_passkey(page, url, alone=False)
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    sign_out(page, url)
    page.get_by_label("User name or e-mail").fill(who)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_label("Recovery code")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.locator(ONLINE)).to_be_visible()
    # The second one on the same key: the browser knows that it is there already.
    add_passkey(page, url, alone=False)
    expect(page.get_by_text("There is a passkey for this account")).to_be_visible()


def test_a_refusal_of_the_browser_is_said_and_can_be_tried_again(visit: Callable[..., Any], url: str) -> None:
    page = visit()
    ask = authenticator(page)
    sign_up(page, url)
    ask("setUserVerified", isUserVerified=False)
    add_passkey(page, url)
    expect(page.get_by_text("It was cancelled, or took too long.")).to_be_visible()
    ask("setUserVerified", isUserVerified=True)
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()


def test_by_an_address_it_says_why_there_are_none(visit: Callable[..., Any], server: Server) -> None:
    page = visit()
    authenticator(page)
    sign_up(page, server.url)
    add_passkey(page, server.url)
    expect(page.get_by_text("This address cannot use passkeys")).to_be_visible()


@pytest.fixture(scope="module")
def federated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, OpenIdProvider]]:
    """A server whose people sign in by a provider, and the provider."""
    directory: Path = tmp_path_factory.mktemp("oidc") / "data"
    with running(OpenIdProvider()) as provider:
        variables = {
            "CHAT_OIDC_ISSUER": provider.issuer,
            "CHAT_OIDC_CLIENT_ID": CLIENT_ID,
            "CHAT_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "CHAT_OIDC_NAME": "Example Inc.",
            "CHAT_SIGNUP": "oidc",
        }
        with EmbeddedStack(directory, worker=False, **variables) as stack:
            yield f"http://{stack.gateways[0]}", provider


def test_signing_in_by_the_provider_leads_there_and_back(
    visit: Callable[..., Any], federated: tuple[str, OpenIdProvider]
) -> None:
    url, provider = federated
    provider.person = {"sub": "p-7", "preferred_username": "nina", "name": "Nina N."}
    page = visit()
    page.goto(f"{url}/settings/")
    expect(page.get_by_role("link", name="Create an account")).to_have_count(0)
    page.get_by_role("button", name="Sign in with Example Inc.").click()
    expect(page).to_have_url(f"{url}/settings/")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Nina N.")
    page.goto(url)
    expect(page.locator(ONLINE)).to_be_visible()
    sign_out(page, url)
    provider.denies = True
    page.get_by_role("button", name="Sign in with Example Inc.").click()
    expect(page.get_by_role("status")).to_have_text("Signing in with Example Inc. was cancelled.")
    expect(page).to_have_url(re.compile("/accounts/login/"))
