"""Routes of the messaging API under /v1."""

from django.urls import URLPattern, URLResolver, path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import AllowAny

from messaging.api import docs, views

_conversation = "conversations/<str:conversation>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("users/<str:user>/profile", views.ProfileView.as_view(), name="profile"),
    path("conversations", views.ConversationsView.as_view(), name="conversations"),
    path(_conversation, views.ConversationView.as_view(), name="conversation"),
    path(f"{_conversation}/messages", views.MessagesView.as_view(), name="messages"),
    path("messages/<str:message>", views.MessageView.as_view(), name="message"),
    path("messages/<str:message>/reactions/<str:emoji>", views.ReactionView.as_view(), name="reaction"),
    path("messages/<str:message>/pin", views.PinView.as_view(), name="pin"),
    path(f"{_conversation}/since", views.SinceView.as_view(), name="since"),
    path(f"{_conversation}/pins", views.PinsView.as_view(), name="pins"),
    path(f"{_conversation}/members", views.MembersView.as_view(), name="members"),
    path(f"{_conversation}/members/<str:user>", views.MemberView.as_view(), name="member"),
    path(f"{_conversation}/read", views.ReadView.as_view(), name="read"),
    path(f"{_conversation}/mute", views.MuteView.as_view(), name="mute"),
    path(f"{_conversation}/shelf", views.ShelfView.as_view(), name="shelf"),
    path(f"{_conversation}/timer", views.TimerView.as_view(), name="timer"),
    # Open to all: who writes a client reads this before there is an account.
    path("schema", SpectacularAPIView.as_view(permission_classes=[AllowAny]), name="schema"),
    path("docs", docs.DocsView.as_view(permission_classes=[AllowAny], url_name="schema"), name="docs"),
]
