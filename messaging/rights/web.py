"""The part of the settings page that asks for a copy."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.models import User
from messaging.domain.errors import ChatError
from messaging.rights import exports


@login_required
@require_POST
def ask_for_export(request: HttpRequest) -> HttpResponse:
    """Have a copy of the user's data made."""
    assert isinstance(request.user, User)
    try:
        exports.request_export(user=request.user)
    except ChatError as error:
        messages.error(request, f"{error.detail.capitalize()}.")
    else:
        messages.success(request, "It is being made. You find it here in a while.")
    return redirect("settings")
