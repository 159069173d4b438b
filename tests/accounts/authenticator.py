"""An authenticator in memory, and the part of a browser that speaks to it: what it makes, a page would send."""

import html
import json
import re
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

_FLAG = AuthenticatorData.FLAG


def options_of(page: Any) -> dict[str, Any]:
    """Return the options that a page has for its script."""
    found = re.search(r'data-options="([^"]*)"', page.content.decode())
    assert found is not None, page.content
    options: dict[str, Any] = json.loads(html.unescape(found[1]))["publicKey"]
    return options


@dataclass
class Key:
    """One credential. ``verifies``: whether it asks for a PIN."""

    origin: str = "http://localhost"
    domain: str = "localhost"
    verifies: bool = True
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    handle: bytes = b""

    def _flags(self) -> Any:
        return _FLAG.UP | _FLAG.UV if self.verifies else _FLAG.UP

    def _client_data(self, kind: str, options: dict[str, Any]) -> CollectedClientData:
        return CollectedClientData.create(kind, options["challenge"], self.origin)

    def _credential(self, response: dict[str, bytes], **results: Any) -> str:
        encoded = {name: websafe_encode(value) for name, value in response.items()}
        own = websafe_encode(self.id)
        said = {"id": own, "rawId": own, "type": "public-key", "authenticatorAttachment": "platform"}
        return json.dumps({**said, "response": encoded, "clientExtensionResults": results})

    def created(self, options: dict[str, Any], *, alone: bool = True) -> str:
        """Return the answer to ``navigator.credentials.create``."""
        self.handle = websafe_decode(options["user"]["id"])
        public = ES256.from_cryptography_key(self.private.public_key())
        attested = AttestedCredentialData.create(b"\0" * 16, self.id, public)
        data = AuthenticatorData.create(sha256(self.domain.encode()).digest(), self._flags() | _FLAG.AT, 0, attested)
        made = AttestationObject.create("none", data, {})
        answer = {"clientDataJSON": self._client_data("webauthn.create", options), "attestationObject": made}
        return self._credential(answer, credProps={"rk": alone})

    def got(self, options: dict[str, Any]) -> str:
        """Return the answer to ``navigator.credentials.get``."""
        client_data = self._client_data("webauthn.get", options)
        data = AuthenticatorData.create(sha256(self.domain.encode()).digest(), self._flags(), 1)
        signature = self.private.sign(data + client_data.hash, ec.ECDSA(hashes.SHA256()))
        answer = {"clientDataJSON": client_data, "authenticatorData": data, "signature": signature}
        return self._credential({**answer, "userHandle": self.handle})
