"""Routes of moderation, under /v1/."""

from django.urls import URLPattern, URLResolver, path

from messaging.moderation.api import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("reports", views.ReportsView.as_view()),
    path("messages/<str:message>/appeal", views.AppealView.as_view()),
    path("me/notices", views.NoticesView.as_view()),
    path("me/reports", views.MyReportsView.as_view()),
]
