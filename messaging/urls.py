"""Pages of the web client."""

from django.urls import URLPattern, URLResolver, path

from messaging import web

urlpatterns: list[URLPattern | URLResolver] = [
    path("", web.app, name="app"),
    path("join/<str:token>", web.join, name="join"),
    path("worker.js", web.worker, name="worker"),
    path("app.webmanifest", web.manifest, name="manifest"),
]
