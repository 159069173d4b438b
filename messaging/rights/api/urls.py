"""Routes of people's rights, under /v1/."""

from django.urls import URLPattern, URLResolver, path

from messaging.rights.api import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("me/erasure", views.ErasureView.as_view(), name="erasure"),
    path("me/exports", views.ExportsView.as_view(), name="exports"),
    path("me/exports/<int:export>/file", views.ExportFileView.as_view(), name="export-file"),
]
