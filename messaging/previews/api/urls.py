"""Routes of previews under /v1."""

from django.urls import URLPattern, URLResolver, path

from messaging.previews.api import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("previews", views.PreviewsView.as_view()),
    path("messages/<str:message>/preview", views.PreviewView.as_view()),
    path("messages/<str:message>/preview/image", views.PictureView.as_view()),
]
