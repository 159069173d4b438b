"""axe-core on a page: what it finds that keeps people out."""

from functools import cache
from importlib.resources import files
from typing import Any

#: A colour on its way from one to the other has no contrast of its own: where it goes is looked at.
_SETTLE = """() => document.getAnimations().forEach((one) => one instanceof CSSTransition && one.finish())"""
#: All of its rules, also those that are good practice and no success criterion.
_RUN = """() => axe.run(document, {resultTypes: ["violations"]}).then(({violations}) =>
    violations.flatMap(({id, nodes}) => nodes.map(({target, failureSummary}) =>
        `${id}: ${target.flat().join(" ")}: ${failureSummary.replaceAll("\\n", " ").slice(0, 300)}`)))"""


@cache
def _source() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text()


def violations(page: Any) -> list[str]:
    """Return what axe finds on the page as it is: rule, element and why."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_source())
    page.evaluate(_SETTLE)
    return [str(one) for one in page.evaluate(_RUN)]
