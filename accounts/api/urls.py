"""Routes of the accounts API, under /v1/."""

from django.urls import URLPattern, URLResolver, path

from accounts.api import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("accounts", views.SignUpView.as_view()),
    path("tokens", views.TokensView.as_view()),
    path("tokens/current", views.CurrentTokenView.as_view()),
    path("devices", views.DevicesView.as_view()),
    path("devices/revoke-others", views.OtherDevicesView.as_view()),
    path("devices/<str:device>", views.DeviceView.as_view()),
    path("me", views.MeView.as_view()),
    path("me/password", views.PasswordView.as_view()),
    path("users", views.UsersView.as_view()),
    path("users/<str:user>", views.UserView.as_view()),
    path("blocks", views.BlocksView.as_view()),
    path("blocks/<str:user>", views.BlockView.as_view()),
]
