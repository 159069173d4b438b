"""Routes of what is not sent yet, under /v1/."""

from django.urls import URLPattern, URLResolver, path

from messaging.unsent.api import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("drafts", views.DraftsView.as_view()),
    path("scheduled", views.ScheduledListView.as_view()),
    path("scheduled/<str:scheduled>", views.ScheduledView.as_view()),
    path("scheduled/<str:scheduled>/send", views.SendNowView.as_view()),
    path("conversations/<str:conversation>/draft", views.DraftView.as_view()),
]
