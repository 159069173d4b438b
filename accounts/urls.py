"""Pages of the accounts."""

from allauth.mfa.totp.views import activate_totp
from allauth.mfa.webauthn.views import add_webauthn
from django.contrib.auth.decorators import login_required
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from accounts import web
from accounts.oidc import web as oidc
from accounts.services.proof import proven_again

urlpatterns: list[URLPattern | URLResolver] = [
    # An address is changed in the settings, and there alone: allauth's own page would know nothing of the notice.
    path("accounts/email/", RedirectView.as_view(pattern_name="settings")),
    # The provider knows whoever has no password; one of one's own would outlast what the provider says.
    path("accounts/password/set/", RedirectView.as_view(pattern_name="settings")),
    path("accounts/oidc/begin/", oidc.begin, name="oidc_begin"),
    path("accounts/oidc/callback/", oidc.callback, name="oidc_callback"),
    path("settings/oidc/unlink", oidc.unlink, name="oidc_unlink"),
    # allauth asks nobody again who has neither a password nor a second factor.
    path("accounts/2fa/webauthn/add/", login_required(proven_again(add_webauthn))),
    path("accounts/2fa/totp/activate/", login_required(proven_again(activate_totp))),
    path("accounts/2fa/webauthn/reauthenticate/", web.confirm_by_passkey),
    # Passkeys are listed with the rest of the second factor.
    path("accounts/2fa/webauthn/", RedirectView.as_view(pattern_name="mfa_index")),
    path("accounts/", include("allauth.urls")),
    path("language", web.choose_language, name="language"),
    path("settings/", web.settings_page, name="settings"),
    path("settings/profile", web.save_profile, name="settings-profile"),
    path("settings/devices/<str:device>/revoke", web.revoke_device, name="settings-revoke"),
    path("settings/devices/revoke-others", web.revoke_others, name="settings-revoke-others"),
    path("settings/tokens", web.make_token, name="settings-token"),
    path("settings/blocks/<str:user>/unblock", web.unblock, name="settings-unblock"),
]
