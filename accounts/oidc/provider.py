"""The other side of "Sign in with …": what is asked of an OpenID provider, and what of its word is believed.

OpenID Connect Core 1.0, the code flow with PKCE (RFC 7636), one provider (docs/decisions/0078). Every call to it blocks
for ``_TIMEOUT_S`` at most a read, in the thread of a request. Nothing of it is believed before ``claims_of`` returns.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import httpx
import jwt
import msgspec
from django.core.cache import cache
from jwt.types import Options

from accounts.oidc.config import OidcConfig

#: No algorithm with a shared secret: a public key must never pass for one. And not ``none``.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
#: How far the clocks of the two may be apart.
LEEWAY_S: Final = 60
#: How recent a sign-in there must be where one was asked for.
FRESH_S: Final = 300
_TIMEOUT_S: Final = 5.0
_MAX_BYTES: Final = 1 << 20
#: How long what the provider says of itself is remembered.
_KNOWN_S: Final = 300
#: How long it is left alone after it did not answer.
_OUT_S: Final = 5
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


class SignInFailed(Exception):
    """A sign-in at the provider that does not count. ``str()``: why, for the log; nothing that came from there."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to the provider and back; kept in the session, and good once."""

    #: What it is for: "login", "link" or "again".
    purpose: str
    nonce: str
    verifier: str
    next: str
    begun_at: float


def new_attempt(purpose: str, next_url: str) -> tuple[str, Attempt]:
    """Return the ``state`` by which an attempt is found again, and the attempt."""
    attempt = Attempt(purpose, secrets.token_urlsafe(32), secrets.token_urlsafe(48), next_url, time.time())
    return secrets.token_urlsafe(32), attempt


class Provider:
    """The provider of a configuration."""

    def __init__(self, config: OidcConfig) -> None:
        self._config = config
        digest = hashlib.sha256(config.issuer.encode()).hexdigest()
        self._about_key, self._keys_key, self._out_key = (f"oidc-{what}-{digest}" for what in ("about", "keys", "out"))

    def way_there(self, state: str, attempt: Attempt, redirect_uri: str) -> str:
        """Return the address at which the browser asks for a sign-in. Raises SignInFailed."""
        challenge = _base64url(hashlib.sha256(attempt.verifier.encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": self._config.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._config.scopes),
            "state": state,
            "nonce": attempt.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if attempt.purpose == "again":
            asked |= {"prompt": "login", "max_age": "0"}
        address = self._endpoint("authorization_endpoint")
        return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(asked)}"

    def claims_for(self, answer: Mapping[str, str], attempt: Attempt, redirect_uri: str) -> dict[str, Any]:
        """Return what the provider says of whoever came back with ``answer``, checked.

        ``sub`` and ``iss`` name the person for ever; all other claims are words.

        Raises:
            SignInFailed: an error, another's code, a token that is not for us, or not for this attempt.
        """
        # RFC 9207: where the provider says in its answer who it is, another's answer is known by it.
        told = answer.get("iss")
        if told != self._config.issuer and (
            told or self._about().get("authorization_response_iss_parameter_supported")
        ):
            raise SignInFailed("the answer is another provider's")
        if "error" in answer or not answer.get("code"):
            raise SignInFailed("the provider refused")
        tokens = self._exchange(answer["code"], attempt.verifier, redirect_uri)
        if not isinstance(tokens.get("id_token"), str) or not isinstance(tokens.get("access_token"), str):
            raise SignInFailed("an answer without tokens")
        claims = self._checked(tokens["id_token"], attempt)
        if self._config.username_claim not in claims and "userinfo_endpoint" in self._about():
            more = self._call("GET", self._endpoint("userinfo_endpoint"), bearer=tokens["access_token"])
            if more.get("sub") != claims["sub"]:
                raise SignInFailed("userinfo of somebody else")
            claims = {**more, **claims}
        return claims

    def _checked(self, token: str, attempt: Attempt) -> dict[str, Any]:
        """Return the claims of an ID token (Core 3.1.3.7)."""
        options: Options = {"require": ["iss", "sub", "aud", "exp", "iat"]}
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key_of(token),
                algorithms=ALGORITHMS,
                audience=self._config.client_id,
                issuer=self._config.issuer,
                leeway=LEEWAY_S,
                options=options,
            )
        except jwt.PyJWTError as error:
            # The class says which check; its text may quote the token.
            raise SignInFailed(f"the ID token is not good: {type(error).__name__}") from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._config.client_id) != self._config.client_id:
            raise SignInFailed("the ID token is for another client")
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not secrets.compare_digest(nonce.encode(), attempt.nonce.encode()):
            raise SignInFailed("the ID token is of another attempt")
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
            raise SignInFailed("the ID token names nobody")
        if attempt.purpose == "again":
            at = claims.get("auth_time")
            if not isinstance(at, int | float) or time.time() - at > FRESH_S + LEEWAY_S:
                raise SignInFailed("the sign-in is not a new one")
        return claims

    def _key_of(self, token: str) -> jwt.PyJWK:
        kid = jwt.get_unverified_header(token).get("kid")
        # Twice: providers change their keys, and what is remembered may be older than the change.
        for fresh in (False, True):
            keys = self._keys(fresh=fresh)
            found = [key for key in keys if kid in (None, key.key_id)]
            if len(found) == 1:
                return found[0]
        raise SignInFailed("the ID token is signed by an unknown key")

    def _keys(self, *, fresh: bool) -> list[jwt.PyJWK]:
        known = None if fresh else cache.get(self._keys_key)
        if known is None:
            known = self._call("GET", self._endpoint("jwks_uri"))
            cache.set(self._keys_key, known, _KNOWN_S)
        rows = known.get("keys")
        signing = [one for one in rows if isinstance(one, dict)] if isinstance(rows, list) else []
        found = []
        for one in signing:
            if one.get("kty") == "oct" or one.get("use", "sig") != "sig":
                continue
            try:
                found.append(jwt.PyJWK.from_dict(one))
            except jwt.PyJWTError:
                # Of a kind that this program does not know; others may do.
                continue
        return found

    def _exchange(self, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
        config = self._config
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        methods = self._about().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        basic = None
        if config.client_secret and "client_secret_basic" in methods:
            # RFC 6749, 2.3.1: both halves are encoded as in a form.
            basic = (quote(config.client_id, safe=""), quote(config.client_secret, safe=""))
        else:
            form |= {"client_id": config.client_id}
            form |= {"client_secret": config.client_secret} if config.client_secret else {}
        return self._call("POST", self._endpoint("token_endpoint"), form=form, basic=basic)

    def _about(self) -> dict[str, Any]:
        known: dict[str, Any] | None = cache.get(self._about_key)
        if known is None:
            if cache.get(self._out_key):
                raise SignInFailed("the provider did not answer a moment ago")
            try:
                known = self._call("GET", self._config.issuer.rstrip("/") + "/.well-known/openid-configuration")
            except SignInFailed:
                # Whoever presses the button meanwhile keeps no thread waiting.
                cache.set(self._out_key, True, _OUT_S)
                raise
            if known.get("issuer") != self._config.issuer:
                raise SignInFailed("the provider calls itself otherwise than CHAT_OIDC_ISSUER")
            cache.set(self._about_key, known, _KNOWN_S)
        return known

    def _endpoint(self, name: str) -> str:
        address = self._about().get(name)
        if not isinstance(address, str) or not is_safe(address):
            raise SignInFailed(f"the provider has no {name} over TLS")
        return address

    def _call(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
        bearer: str = "",
    ) -> dict[str, Any]:
        """Return the JSON object of an answer of at most 1 MiB. No redirect is followed: secrets go along."""
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
        body = b""
        try:
            with (
                httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, auth=basic) as client,
                client.stream(method, url, data=form, headers=headers) as answer,
            ):
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > _MAX_BYTES:
                        raise SignInFailed("an answer that does not end")
                status = answer.status_code
        except httpx.HTTPError as error:
            raise SignInFailed(f"the provider cannot be reached: {type(error).__name__}") from None
        if status != 200:
            raise SignInFailed(f"the provider answers {status}")
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            raise SignInFailed("an answer that is no JSON object") from None


def is_safe(url: str) -> bool:
    """Return whether a secret may be sent to this address: over TLS, or to this very machine."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
