"""Routes of media under /v1."""

from django.urls import URLPattern, URLResolver, path

from messaging.media.api import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("media", views.MediaListView.as_view()),
    path("media/<str:media>", views.MediaItemView.as_view()),
    path("media/<str:media>/parts/<str:number>", views.PartView.as_view()),
    path("media/<str:media>/complete", views.CompleteView.as_view()),
    path("media/<str:media>/content", views.ContentView.as_view()),
    path("conversations/<str:conversation>/picture", views.PictureView.as_view()),
    path("users/<str:user>/picture", views.PortraitView.as_view()),
    path("me/picture", views.OwnPortraitView.as_view()),
    path("media/<str:media>/thumbnail", views.ThumbnailView.as_view()),
]
