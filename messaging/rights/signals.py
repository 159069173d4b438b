"""Signing in takes back that the account is to be deleted."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.models import User
from messaging.rights import erasures


@receiver(user_logged_in)
def keep_account(sender: Any, request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    """Keep the account of somebody who signs in on a page, and say so."""
    if erasures.cancel(user=user) and request is not None:
        messages.success(request, "Welcome back. Your account is kept.", fail_silently=True)
