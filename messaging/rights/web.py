"""The parts of the settings page that ask for a copy, and for the end of the account."""

from typing import Final

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import User
from accounts.services.proof import proven_again
from messaging.domain.errors import ChatError
from messaging.rights import erasures, exports

#: What the two refuse with.
_REFUSALS: Final = (
    gettext_noop("a copy is being made already"),
    gettext_noop("who is of the staff has to lose that first"),
    gettext_noop("the account is closed already"),
    gettext_noop("the deletion of this account is asked for already"),
)


def _sentence(error: ChatError) -> str:
    told = _(error.detail)
    return _("%(sentence)s.") % {"sentence": told[:1].upper() + told[1:]}


@login_required
@require_POST
@proven_again
def ask_for_export(request: HttpRequest) -> HttpResponse:
    """Have a copy of the user's data made."""
    assert isinstance(request.user, User)
    try:
        exports.request_export(user=request.user)
    except ChatError as error:
        messages.error(request, _sentence(error))
    else:
        messages.success(request, _("It is being made. You find it here in a while."))
    return redirect("settings")


@login_required
@require_http_methods(["GET", "POST"])
@proven_again
def ask_for_erasure(request: HttpRequest) -> HttpResponse:
    """Say what is deleted when, and have it done; whoever comes here has just confirmed who they are."""
    assert isinstance(request.user, User)
    if request.method != "POST":
        return render(request, "account/erase.html", {"days": settings.ERASURE_GRACE_DAYS})
    try:
        erasure = erasures.request_confirmed(user=request.user)
    except ChatError as error:
        messages.error(request, _sentence(error))
        return redirect("settings")
    logout(request)
    told = _("Your account will be deleted on %(day)s. To keep it, sign in before.")
    messages.success(request, told % {"day": date_format(erasure.due_at, _("j F Y"))})
    return redirect("account_login")
