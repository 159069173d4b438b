"""Routes of what comes in by webhooks, under /v1/."""

from django.urls import URLPattern, URLResolver, path

from messaging.hooks.api import views

urlpatterns: list[URLPattern | URLResolver] = [path("hooks/<str:token>", views.HookView.as_view(), name="hook")]
