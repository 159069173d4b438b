"""Pages of the accounts."""

from django.urls import URLPattern, URLResolver, include, path

from accounts import web

urlpatterns: list[URLPattern | URLResolver] = [
    path("accounts/", include("allauth.urls")),
    path("settings/", web.settings_page, name="settings"),
    path("settings/profile", web.save_profile, name="settings-profile"),
    path("settings/devices/<str:device>/revoke", web.revoke_device, name="settings-revoke"),
    path("settings/devices/revoke-others", web.revoke_others, name="settings-revoke-others"),
    path("settings/blocks/<str:user>/unblock", web.unblock, name="settings-unblock"),
]
