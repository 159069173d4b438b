"""What the settings say of the OpenID provider; read by them, so it imports nothing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OidcConfig:
    """The variables CHAT_OIDC_*: one provider."""

    issuer: str
    client_id: str
    #: Empty: a public client, whom PKCE alone protects.
    client_secret: str
    #: What people call it.
    name: str
    scopes: tuple[str, ...]
    username_claim: str
