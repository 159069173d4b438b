"""Every endpoint under /v1, read from the routes: a new one is tried without a line more."""

from dataclasses import dataclass

from accounts.api import urls as accounts_urls
from messaging.api import urls as messaging_urls
from messaging.invites.api import urls as invites_urls
from messaging.media.api import urls as media_urls
from messaging.previews.api import urls as previews_urls
from messaging.search.api import urls as search_urls
from messaging.unsent.api import urls as unsent_urls
from push.api import urls as push_urls

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Endpoint:
    """One method of one route, such as ``get conversations/<str:conversation>``."""

    method: str
    route: str

    def __str__(self) -> str:
        return f"{self.method} {self.route}"

    def path(self, **values: str) -> str:
        """Return the path under /v1 with these ids in it."""
        route = self.route
        for name, value in values.items():
            route = route.replace(f"<str:{name}>", value)
        assert "<" not in route
        return f"/v1/{route}"

    @property
    def has_body(self) -> bool:
        return self.method in ("post", "put", "patch")


def _found() -> list[Endpoint]:
    found = []
    for pattern in [
        *accounts_urls.urlpatterns,
        *messaging_urls.urlpatterns,
        *media_urls.urlpatterns,
        *search_urls.urlpatterns,
        *invites_urls.urlpatterns,
        *unsent_urls.urlpatterns,
        *previews_urls.urlpatterns,
        *push_urls.urlpatterns,
    ]:
        view = pattern.callback.view_class  # type: ignore[union-attr]
        found += [Endpoint(method, str(pattern.pattern)) for method in _METHODS if hasattr(view, method)]
    return found


ENDPOINTS = _found()
#: What needs no account.
OPEN = {
    Endpoint("post", "accounts"),
    Endpoint("post", "tokens"),
    Endpoint("get", "schema"),
    Endpoint("get", "docs"),
}
#: What people may try with ``curl -d``: a form is as good as JSON.
FORMS = {Endpoint("post", "accounts"), Endpoint("post", "tokens")}
