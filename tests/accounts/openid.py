"""A local OpenID provider, in a thread: it checks what a client sends, and lies on demand."""

import base64
import contextlib
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID, CLIENT_SECRET = "chat:1", "s3cret/+ %"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    """Return a public key as the provider publishes it."""
    found: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**found, "kid": kid, "use": "sig", "alg": "RS256"}


@dataclass
class OpenIdProvider:
    """Who signs in there, and how it lies."""

    issuer: str = ""
    #: What it says of whoever signs in: in the ID token, and at userinfo.
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "p-1", "preferred_username": "Nina"})
    userinfo: dict[str, Any] | None = None
    #: Makes something else of the claims of the ID token, or of the signed token.
    twist: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
    forge: Callable[[dict[str, Any]], str] | None = None
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=lambda: {"k1": KEY})
    #: What it says of itself beside the rest.
    about: dict[str, Any] = field(default_factory=dict)
    denies: bool = False
    status: int = 200
    #: Paths that were asked for, in order; and the parameters of the last way there.
    asked: list[str] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)

    def answer(self, method: str, path: str, form: dict[str, str], headers: Any) -> tuple[int, dict[str, Any] | str]:
        """Return the status, and a JSON object or where it leads to."""
        self.asked.append(path)
        if self.status != 200:
            return self.status, {}
        match method, path:
            case "GET", "/.well-known/openid-configuration":
                return 200, self._about()
            case "GET", "/jwks":
                return 200, {"keys": [jwk(key, kid) for kid, key in self.keys.items()]}
            case "GET", "/authorize":
                return self._authorize(form)
            case "POST", "/token":
                return self._token(form, headers)
            case "GET", "/userinfo":
                known = headers.get("Authorization", "").removeprefix("Bearer ") in self._tokens
                return (200, self.userinfo or self.person) if known else (401, {})
        return 404, {}

    def _about(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "authorization_response_iss_parameter_supported": True,
            **self.about,
        }

    def _authorize(self, form: dict[str, str]) -> tuple[int, dict[str, Any] | str]:
        self.parameters = form
        known = form["client_id"] == CLIENT_ID and form["redirect_uri"].endswith("/accounts/oidc/callback/")
        asks_well = form["response_type"] == "code" and form["code_challenge_method"] == "S256" and form["nonce"]
        if not (known and asks_well and "openid" in form["scope"].split()):
            return 400, {"error": "invalid_request"}
        code = secrets.token_urlsafe(16)
        self._codes[code] = form
        told = {"error": "access_denied"} if self.denies else {"code": code}
        back = urlencode({**told, "state": form["state"], "iss": self.issuer})
        return 302, f"{form['redirect_uri']}?{back}"

    def _token(self, form: dict[str, str], headers: Any) -> tuple[int, dict[str, Any]]:
        scheme, _, pair = headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(pair).decode().partition(":") if scheme == "Basic" else ("", "", "")
        if (unquote(user), unquote(password)) != (CLIENT_ID, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        asked = self._codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        proven = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["redirect_uri"] != form["redirect_uri"] or asked["code_challenge"] != proven:
            return 400, {"error": "invalid_grant"}
        token = secrets.token_urlsafe(16)
        self._tokens[token] = form["code"]
        now = int(time.time())
        said = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        said |= {"auth_time": now} if "max_age" in asked else {}
        claims = self.twist({**said, **self.person})
        signed = self.forge(claims) if self.forge else self.signed(claims)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 300, "id_token": signed}

    def signed(self, claims: dict[str, Any]) -> str:
        """Return an ID token of the newest key."""
        kid, key = list(self.keys.items())[-1]
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})


@contextlib.contextmanager
def running(provider: OpenIdProvider) -> Iterator[OpenIdProvider]:
    """Serve it on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            parts = urlsplit(self.path)
            text = parts.query
            if self.command == "POST":
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(text).items()}
            status, body = provider.answer(self.command, parts.path, form, self.headers)
            self.send_response(status)
            content = b""
            if isinstance(body, str):
                self.send_header("Location", body)
            else:
                content = json.dumps(body).encode()
                self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _do

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.issuer = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
