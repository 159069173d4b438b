"""The browsable description of the API, under the site's content security policy."""

from drf_spectacular.views import SpectacularSwaggerSplitView


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from our own static files; its start-up script is a request of its own, never inline."""

    template_name = "messaging/docs.html"
