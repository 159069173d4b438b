"""All routes of the site."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from messaging import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("v1/", include("accounts.api.urls")),
    path("v1/", include("messaging.api.urls")),
    path("", include("accounts.urls")),
    path("", include("messaging.urls")),
]
