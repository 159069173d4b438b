"""Routes of the search under /v1."""

from django.urls import URLPattern, URLResolver, path

from messaging.search.api import views

urlpatterns: list[URLPattern | URLResolver] = [path("search", views.SearchView.as_view())]
