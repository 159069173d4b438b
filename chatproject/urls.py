"""All routes of the site."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("v1/", include("accounts.api.urls")),
    path("v1/", include("messaging.api.urls")),
    path("", include("accounts.urls")),
    path("", include("messaging.urls")),
]
