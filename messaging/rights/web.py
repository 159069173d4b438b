"""The parts of the settings page that ask for a copy, and for the end of the account."""

from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import User
from messaging.domain.errors import ChatError
from messaging.rights import erasures, exports


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


@login_required
@require_http_methods(["GET", "POST"])
@reauthentication_required  # type: ignore[untyped-decorator]  # allauth has no types
def ask_for_erasure(request: HttpRequest) -> HttpResponse:
    """Say what is deleted when, and have it done; whoever comes here has just confirmed who they are."""
    assert isinstance(request.user, User)
    if request.method != "POST":
        return render(request, "account/erase.html", {"days": settings.ERASURE_GRACE_DAYS})
    try:
        erasure = erasures.request_confirmed(user=request.user)
    except ChatError as error:
        messages.error(request, f"{error.detail.capitalize()}.")
        return redirect("settings")
    logout(request)
    messages.success(request, f"Your account will be deleted on {erasure.due_at:%d %B %Y}. To keep it, sign in before.")
    return redirect("account_login")
