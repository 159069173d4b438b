"""All routes of the site."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from messaging import health
from messaging.rights.web import ask_for_erasure, ask_for_export

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("v1/", include("accounts.api.urls")),
    path("v1/", include("messaging.api.urls")),
    path("v1/", include("messaging.media.api.urls")),
    path("v1/", include("messaging.search.api.urls")),
    path("v1/", include("messaging.invites.api.urls")),
    path("v1/", include("messaging.unsent.api.urls")),
    path("v1/", include("messaging.previews.api.urls")),
    path("v1/", include("messaging.hooks.api.urls")),
    path("v1/", include("push.api.urls")),
    path("v1/", include("messaging.moderation.api.urls")),
    path("v1/", include("messaging.rights.api.urls")),
    path("settings/export", ask_for_export, name="settings-export"),
    path("settings/erase", ask_for_erasure, name="settings-erase"),
    path("", include("messaging.hooks.urls")),
    path("", include("accounts.urls")),
    path("", include("messaging.urls")),
]

# Under /v1 these answer with problems, elsewhere with pages.
handler400 = "messaging.api.problems.bad_request"
handler403 = "messaging.api.problems.permission_denied"
handler404 = "messaging.api.problems.page_not_found"
handler500 = "messaging.api.problems.server_error"
