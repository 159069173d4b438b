"""Pages of bots, under the settings."""

from django.urls import URLPattern, URLResolver, path

from messaging.hooks import web

_endpoint = "settings/bots/<str:bot>/endpoints/<str:endpoint>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("settings/bots", web.bots_page, name="settings-bots"),
    path("settings/bots/make", web.make_bot, name="settings-bots-make"),
    path("settings/bots/<str:bot>", web.bot_page, name="settings-bot"),
    path("settings/bots/<str:bot>/change", web.change_bot, name="settings-bot-change"),
    path("settings/bots/<str:bot>/end", web.end_bot, name="settings-bot-end"),
    path("settings/bots/<str:bot>/tokens", web.make_token, name="settings-bot-token"),
    path("settings/bots/<str:bot>/webhooks", web.make_hook, name="settings-bot-hook"),
    path("settings/bots/<str:bot>/endpoints", web.make_endpoint, name="settings-bot-endpoint"),
    path(f"{_endpoint}/<str:act>", web.act_on_endpoint, name="settings-bot-endpoint-act"),
    path(f"{_endpoint}/again/<str:event>", web.redeliver, name="settings-bot-redeliver"),
    path("settings/bots/<str:bot>/rotate/<str:device>", web.rotate, name="settings-bot-rotate"),
    path("settings/bots/<str:bot>/revoke/<str:device>", web.revoke, name="settings-bot-revoke"),
]
