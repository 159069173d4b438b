"""Which link of a text is previewed: the first that the page shows as one, if it is to be fetched at all."""

import pytest

from messaging.domain.links import MAX_URL_CHARS, first_link, host_of, may_fetch


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("see https://example.org/a?b=c#d, please", "https://example.org/a?b=c"),
        ("HTTPS://Example.ORG", "HTTPS://Example.ORG"),
        ("(https://example.org/a)", "https://example.org/a"),
        ("https://example.org/a_(b)", "https://example.org/a_(b)"),
        ("<https://example.org>", "https://example.org"),
        ("two: http://one.example http://two.example", "http://one.example"),
        ("https://example.org:443/", "https://example.org:443/"),
        ("https://bücher.example/ß", "https://bücher.example/ß"),
        ("no link", None),
        ("example.org", None),
        ("ftp://example.org", None),
        ("javascript:alert(1)", None),
        ("https://", None),
        ("https://user:pw@example.org/", None),
        ("https://example.org:8443/", None),
        ("http://example.org:443/", None),
        ("http://example.org:99999999/", None),
        ("http://[::1", None),
        ("https://example.org/\u202egpj", None),
        ("https://example.org/" + "a" * MAX_URL_CHARS, None),
    ],
)
def test_the_first_link(text: str, link: str | None) -> None:
    assert first_link(text) == link


def test_the_host_is_shown_as_the_network_knows_it() -> None:
    assert host_of("https://EXAMPLE.org/") == "example.org"
    assert host_of("https://аpple.com/") == "xn--pple-43d.com"
    assert host_of("https://x@y.example/") == "y.example"


def test_what_is_no_address_is_not_fetched() -> None:
    assert not any(map(may_fetch, ["", "x", "//example.org", "http:example.org", "https://\n", "data:text/html,x"]))
