"""Routes of the push API, under /v1/."""

from django.urls import URLPattern, URLResolver, path

from push.api import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("devices/<str:device>/push", views.SubscriptionView.as_view()),
    path("devices/<str:device>/push/test", views.TestView.as_view()),
    path("me/push-settings", views.SettingsView.as_view()),
]
