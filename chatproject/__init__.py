"""Wiring: settings, routes, and the container that knows the adapters."""

from chatproject.celery import app as celery_app

__all__ = ["celery_app"]
