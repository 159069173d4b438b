"""Every endpoint under /v1, read from the routes: a new one is tried without a line more."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver

_PREFIX = "v1/"
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
            route = route.replace(f"<str:{name}>", value).replace(f"<int:{name}>", value)
        assert "<" not in route
        return f"/v1/{route}"

    @property
    def has_body(self) -> bool:
        return self.method in ("post", "put", "patch")


def _found() -> list[Endpoint]:
    found = []
    for route, view in _routes(get_resolver().url_patterns, ""):
        if route.startswith(_PREFIX):
            cls = view.view_class  # type: ignore[attr-defined]
            names = [method for method in _METHODS if hasattr(cls, method)]
            found += [Endpoint(method, route.removeprefix(_PREFIX)) for method in names]
    return found


def _routes(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[tuple[str, object]]:
    """Yield each route of the site with its view, however the lists of routes include each other."""
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, route)
        else:
            yield route, pattern.callback


ENDPOINTS = _found()
#: What needs no account.
OPEN = {
    Endpoint("post", "accounts"),
    Endpoint("post", "tokens"),
    Endpoint("get", "schema"),
    Endpoint("get", "docs"),
    # The address is the permission.
    Endpoint("post", "hooks/<str:token>"),
}
#: What people may try with ``curl -d``: a form is as good as JSON.
FORMS = {Endpoint("post", "accounts"), Endpoint("post", "tokens"), Endpoint("post", "hooks/<str:token>")}
