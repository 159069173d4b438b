"""Routes of the accounts API, under /v1/."""

from django.urls import URLPattern, URLResolver, path

from accounts.api import bots, views

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
    path("bots", bots.BotsView.as_view()),
    path("bots/<str:bot>", bots.BotView.as_view()),
    path("bots/<str:bot>/tokens", bots.TokensView.as_view()),
    path("bots/<str:bot>/tokens/<str:device>", bots.TokenView.as_view()),
    path("bots/<str:bot>/tokens/<str:device>/rotate", bots.RotateTokenView.as_view()),
    path("bots/<str:bot>/webhooks", bots.HooksView.as_view()),
    path("bots/<str:bot>/webhooks/<str:device>", bots.HookView.as_view()),
    path("bots/<str:bot>/webhooks/<str:device>/rotate", bots.RotateHookView.as_view()),
]
