"""Pages of the accounts."""

from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from accounts import web

urlpatterns: list[URLPattern | URLResolver] = [
    # An address is changed in the settings, and there alone: allauth's own page would know nothing of the notice.
    path("accounts/email/", RedirectView.as_view(pattern_name="settings")),
    path("accounts/2fa/webauthn/reauthenticate/", web.confirm_by_passkey),
    # Passkeys are listed with the rest of the second factor.
    path("accounts/2fa/webauthn/", RedirectView.as_view(pattern_name="mfa_index")),
    path("accounts/", include("allauth.urls")),
    path("language", web.choose_language, name="language"),
    path("settings/", web.settings_page, name="settings"),
    path("settings/profile", web.save_profile, name="settings-profile"),
    path("settings/devices/<str:device>/revoke", web.revoke_device, name="settings-revoke"),
    path("settings/devices/revoke-others", web.revoke_others, name="settings-revoke-others"),
    path("settings/blocks/<str:user>/unblock", web.unblock, name="settings-unblock"),
]
