"""What makes a password too easy to guess, beside Django's own rules (docs/decisions/0079)."""

import logging
import re
from collections.abc import Collection
from hashlib import sha1
from typing import Any, Final

import httpx
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from prometheus_client import Counter

logger = logging.getLogger(__name__)

LOOKUPS_FAILED: Final = Counter(
    "chat_password_lookups_failed_total",
    "New passwords that CHAT_PASSWORD_RANGE_URL could not be asked about; they were taken.",
)
_TIMEOUT_S: Final = 2.0
#: Bytes of an answer; it has about a thousand lines of 40.
_MAX_BYTES: Final = 1 << 20
#: How people write letters as digits.
_DIGITS: Final = str.maketrans("0134578@$", "oieastbas")


class ContextWordsValidator:
    """Refuses a password that is made of words that everybody here knows, and of digits and signs around them."""

    def __init__(self, words: Collection[str]) -> None:
        known = sorted({word.lower() for word in words if len(word) > 2}, key=len, reverse=True)
        self._made_of_them = re.compile(f"(?:{'|'.join(map(re.escape, known))})+") if known else None

    def validate(self, password: str, user: Any = None) -> None:
        """Pass what has anything else in it. Raises ValidationError."""
        if self._made_of_them is None:
            return
        for text in (password.lower(), password.lower().translate(_DIGITS)):
            if self._made_of_them.fullmatch(re.sub(r"[^a-z]+", "", text)):
                raise ValidationError(self.get_help_text(), code="password_of_context")

    def get_help_text(self) -> str:
        """Return the rule."""
        return _("The password is made of the name of this place: it is among the first that somebody tries.")


class BreachedPasswordValidator:
    """Refuses a password that was in a breach, as a list of ranges of SHA-1 digests says (Have I Been Pwned's).

    What leaves this place is five of the forty digits of the digest, which thousands of passwords share. Where the list
    does not answer in 2 s the password is taken: signing up is not to depend on it.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def validate(self, password: str, user: Any = None) -> None:
        """Pass what is not on the list. Raises ValidationError. Blocks for some seconds at most."""
        if not self._url:
            return
        digest = sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest().upper()
        try:
            lines = self._lines(digest[:5])
        except (httpx.HTTPError, ValueError) as error:
            LOOKUPS_FAILED.inc()
            logger.warning("a new password could not be looked up: %s", type(error).__name__)
            return
        # Padding has a count of 0.
        found = [line.partition(":")[2] for line in lines if line.upper().startswith(f"{digest[5:]}:")]
        if any(count.strip() not in ("", "0") for count in found):
            raise ValidationError(self.get_help_text(), code="password_breached")

    def _lines(self, prefix: str) -> list[str]:
        body = b""
        with (
            httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, headers={"Add-Padding": "true"}) as client,
            client.stream("GET", f"{self._url}{prefix}") as answer,
        ):
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > _MAX_BYTES:
                    raise ValueError("too long")
            if answer.status_code != 200:
                raise ValueError("no list")
        return body.decode("ascii").splitlines()

    def get_help_text(self) -> str:
        """Return the rule."""
        return _("This password is in a list of stolen ones: somebody will try it.")
