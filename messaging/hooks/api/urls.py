"""Routes of what comes in by webhooks, and of where events go, under /v1/."""

from django.urls import URLPattern, URLResolver, path

from messaging.hooks.api import endpoints, views

_endpoint = "bots/<str:bot>/endpoints/<str:endpoint>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("hooks/<str:token>", views.HookView.as_view(), name="hook"),
    path("bots/<str:bot>/endpoints", endpoints.EndpointsView.as_view()),
    path(_endpoint, endpoints.EndpointView.as_view()),
    path(f"{_endpoint}/secret", endpoints.SecretView.as_view()),
    path(f"{_endpoint}/test", endpoints.TestView.as_view()),
    path(f"{_endpoint}/deliveries", endpoints.DeliveriesView.as_view()),
    path(f"{_endpoint}/deliveries/<str:event>/redeliver", endpoints.RedeliverView.as_view()),
]
