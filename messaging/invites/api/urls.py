"""Routes of invitations, under /v1/."""

from django.urls import URLPattern, URLResolver, path

from messaging.invites.api import views

_conversation = "conversations/<str:conversation>"

urlpatterns: list[URLPattern | URLResolver] = [
    path(f"{_conversation}/invites", views.InvitesView.as_view()),
    path(f"{_conversation}/invites/<str:token>", views.InviteView.as_view()),
    path(f"{_conversation}/requests", views.RequestsView.as_view()),
    path(f"{_conversation}/requests/<str:user>", views.RequestView.as_view()),
    path("invites/<str:token>", views.JoinView.as_view()),
]
