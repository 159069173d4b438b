"""Spans of time in words."""

from datetime import timedelta

from django import template

register = template.Library()


@register.filter
def span(value: timedelta | None) -> str:
    """Return a span in days, or in smaller units where it is no whole number of them; None is "never"."""
    return "never" if value is None else seconds(value.total_seconds())


@register.filter
def seconds(value: float) -> str:
    """Return a number of seconds in the largest unit of which it is a whole number."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        number, rest = divmod(value, length)
        if number and not rest:
            return f"{number:g} {unit}{'' if number == 1 else 's'}"
    return f"{value:g} seconds"
