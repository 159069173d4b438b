"""The settings page of bots: their names, tokens and webhooks (docs/bots.md)."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from accounts.models import SCOPES, Bot, Device, User
from accounts.selectors import bots as selectors
from accounts.selectors import people
from accounts.services import bots as services
from accounts.services.devices import revoke_device
from chatproject import container
from messaging.domain import ids
from messaging.domain.errors import ChatError
from messaging.domain.ids import ConversationId, DeviceId, UserId
from messaging.domain.messages import ConversationType
from messaging.hooks import endpoints
from messaging.hooks import selectors as endpoint_selectors
from messaging.hooks.models import EVENTS, Endpoint

#: Conversations that a webhook can be made for on the page: those with the newest activity.
_CONVERSATIONS = 200


#: What a token may, by its scopes.
_MAY = {
    "read write": gettext_lazy("Read and write"),
    "read": gettext_lazy("Read only"),
    "write": gettext_lazy("Write only"),
}
_REACH = [("everyone", gettext_lazy("Everybody")), ("owner", gettext_lazy("Its owner only"))]


class BotForm(forms.Form):
    """A bot to make."""

    username = forms.CharField(
        max_length=32,
        label=gettext_lazy("User name"),
        help_text=gettext_lazy("Lower-case letters, digits, and . _ -"),
    )
    display_name = forms.CharField(max_length=80, required=False, label=gettext_lazy("Name"))
    for_all = forms.BooleanField(required=False, label=gettext_lazy("A bot of this installation, not of mine"))

    def __init__(self, *args: Any, for_all: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not for_all:
            del self.fields["for_all"]


class ChangeForm(forms.Form):
    """What may be changed of a bot."""

    display_name = forms.CharField(max_length=80, required=False, label=gettext_lazy("Name"))
    description = forms.CharField(max_length=300, required=False, label=gettext_lazy("What it does"))
    direct = forms.ChoiceField(choices=_REACH, label=gettext_lazy("Who may write to it directly"))


class TokenForm(forms.Form):
    """A token to make."""

    name = forms.CharField(max_length=120, label=gettext_lazy("Name"), help_text=gettext_lazy("Where you keep it."))
    scope = forms.ChoiceField(choices=list(_MAY.items()), label=gettext_lazy("It may"))
    expires_in_days = forms.IntegerField(
        min_value=1,
        max_value=services.MAX_TOKEN_DAYS,
        required=False,
        label=gettext_lazy("Good for so many days"),
        help_text=gettext_lazy("Empty: until you revoke it."),
    )


class HookForm(forms.Form):
    """A webhook to make."""

    name = forms.CharField(max_length=120, label=gettext_lazy("Name"), help_text=gettext_lazy("Who writes by it."))
    conversation = forms.ChoiceField(label=gettext_lazy("Conversation"))

    def __init__(self, *args: Any, choices: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["conversation"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField


class EndpointForm(forms.Form):
    """An endpoint to make."""

    url = forms.CharField(max_length=500, label=gettext_lazy("Address"), help_text="https://…")
    events = forms.MultipleChoiceField(
        choices=[(event, event) for event in EVENTS],
        label=gettext_lazy("Events"),
        initial=["message.created"],
        help_text=gettext_lazy("“mention”: only messages that mention the bot."),
    )


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _posted(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Have who loads the address of a button's answer anew see the bot, not an error: the secret is not shown again."""

    @wraps(view)
    def answer(request: HttpRequest, bot: str, *args: str, **kwargs: str) -> HttpResponse:
        return view(request, bot, *args, **kwargs) if request.method == "POST" else redirect("settings-bot", bot)

    return login_required(answer)


def _bot(request: HttpRequest, ref: str) -> Bot:
    try:
        return selectors.bot_of(_user(request), ids.parse_user(ref))
    except (ids.InvalidId, ChatError):
        raise Http404 from None


def _titles(bot: Bot) -> dict[ConversationId, str]:
    """Return the conversations that the bot is in, by what they are called; of a direct one whom it is with."""
    user = UserId(bot.pk)
    rows = container.conversation_store().inbox(user, limit=_CONVERSATIONS)
    others = {
        row.conversation.id: next(iter((row.conversation.members or frozenset()) - {user}), UserId(0))
        for row in rows
        if row.conversation.type is ConversationType.DM
    }
    names = people.display_names(others.values())
    titles = {}
    for row in rows:
        it = row.conversation
        if it.type is ConversationType.DM:
            card = names.get(others[it.id])
            titles[it.id] = card.display_name if card else _("Deleted account")
        else:
            titles[it.id] = it.name or _("Group")
    return titles


# --- pages ----------------------------------------------------------------------------------------


@login_required
@require_GET
def bots_page(request: HttpRequest) -> HttpResponse:
    """Show the bots that the user looks after."""
    return _bots(request, BotForm(for_all=selectors.may_make_for_all(_user(request))))


def _bots(request: HttpRequest, form: BotForm, status: int = 200) -> HttpResponse:
    user = _user(request)
    rows = [{"ref": ids.user_ref(bot.pk), "bot": bot} for bot in selectors.bots_of(user)]
    context = {"bots": rows, "form": form, "may_make": selectors.may_make(user)}
    return render(request, "account/bots.html", context, status=status)


@login_required
@require_POST
def make_bot(request: HttpRequest) -> HttpResponse:
    """Make a bot and show it."""
    form = BotForm(request.POST, for_all=selectors.may_make_for_all(_user(request)))
    if not form.is_valid():
        return _bots(request, form, 400)
    try:
        bot = services.make_bot(maker=_user(request), **form.cleaned_data)
    except ChatError as error:
        form.add_error(None, _sentence(error))
        return _bots(request, form, error.http_status)
    return redirect("settings-bot", ids.user_ref(bot.pk))


@login_required
@require_GET
def bot_page(request: HttpRequest, bot: str) -> HttpResponse:
    """Show a bot."""
    return _page(request, _bot(request, bot))


def _page(request: HttpRequest, bot: Bot, status: int = 200, **more: Any) -> HttpResponse:
    titles = _titles(bot)
    choices = [(ids.conversation_ref(id_), title) for id_, title in titles.items()]
    tokens = [
        {"ref": ids.device_ref(it.pk), "it": it, "may": _MAY[" ".join(it.scopes or SCOPES)]}
        for it in selectors.credentials_of(bot, Device.Kind.BOT)
    ]
    hooks = [
        {
            "ref": ids.device_ref(it.pk),
            "it": it,
            "where": titles.get((it.conversations or [0])[0], _("where it is not any more")),
        }
        for it in selectors.credentials_of(bot, Device.Kind.HOOK)
    ]
    ends = [
        {"ref": ids.endpoint_ref(it.pk), "it": it, "lost": endpoint_selectors.deliveries_of(it)}
        for it in endpoint_selectors.endpoints_of(bot)
    ]
    first = {"display_name": bot.user.display_name, "description": bot.description, "direct": bot.direct}
    context = {"bot": bot, "ref": ids.user_ref(bot.pk), "tokens": tokens, "hooks": hooks, "can_hook": bool(choices)}
    context |= {"form": ChangeForm(initial=first), "token_form": TokenForm(prefix="token")}
    context |= {"hook_form": HookForm(choices=choices, prefix="hook")}
    context |= {"ends": ends, "end_form": EndpointForm(prefix="end")}
    return render(request, "account/bot.html", context | more, status=status)


def _sentence(error: ChatError) -> str:
    return f"{error.detail[:1].upper()}{error.detail[1:]}."


def _tried(request: HttpRequest, bot: Bot, what: Callable[[], object], done: str) -> HttpResponse:
    """Do what a button says, tell how it went, and show the bot."""
    try:
        what()
    except ChatError as error:
        messages.error(request, _sentence(error))
    else:
        messages.success(request, done)
    return redirect("settings-bot", ids.user_ref(bot.pk))


@login_required
@require_POST
def change_bot(request: HttpRequest, bot: str) -> HttpResponse:
    """Save what is shown of a bot."""
    found = _bot(request, bot)
    form = ChangeForm(request.POST)
    if not form.is_valid():
        return _page(request, found, 400, form=form)
    return _tried(request, found, lambda: services.change_bot(bot=found, **form.cleaned_data), _("Saved."))


@login_required
@require_POST
def end_bot(request: HttpRequest, bot: str) -> HttpResponse:
    """End a bot."""
    found = _bot(request, bot)
    try:
        services.end_bot(bot=found)
    except ChatError as error:
        messages.error(request, _sentence(error))
        return redirect("settings-bot", bot)
    messages.success(request, _("%(name)s is ended.") % {"name": f"@{found.user.username}"})
    return redirect("settings-bots")


@_posted
def make_token(request: HttpRequest, bot: str) -> HttpResponse:
    """Make a token, and show it this once."""
    found = _bot(request, bot)
    form = TokenForm(request.POST, prefix="token")
    if not form.is_valid():
        return _page(request, found, 400, token_form=form)
    data = form.cleaned_data
    scopes = data["scope"].split()
    assert set(scopes) <= set(SCOPES)
    try:
        _device, token = services.make_bot_token(
            bot=found, name=data["name"], scopes=scopes, expires_in_days=data["expires_in_days"]
        )
    except ChatError as error:
        form.add_error(None, _sentence(error))
        return _page(request, found, error.http_status, token_form=form)
    return _page(request, found, secret=token, secret_of=_("The token “%(name)s”") % {"name": data["name"]})


@_posted
def make_hook(request: HttpRequest, bot: str) -> HttpResponse:
    """Make a webhook, and show its address this once."""
    found = _bot(request, bot)
    choices = [(ids.conversation_ref(id_), title) for id_, title in _titles(found).items()]
    form = HookForm(request.POST, choices=choices, prefix="hook")
    if not form.is_valid():
        return _page(request, found, 400, hook_form=form)
    data = form.cleaned_data
    try:
        _device, token = services.make_hook(
            bot=found, name=data["name"], conversation=ids.parse_conversation(data["conversation"])
        )
    except ChatError as error:
        form.add_error(None, _sentence(error))
        return _page(request, found, error.http_status, hook_form=form)
    return _page(
        request,
        found,
        secret=_address(request, token),
        secret_of=_("The address of “%(name)s”") % {"name": data["name"]},
    )


def _address(request: HttpRequest, token: str) -> str:
    return request.build_absolute_uri(f"/v1/hooks/{token}")


def _credential(bot: Bot, ref: str) -> Device:
    for kind in (Device.Kind.BOT, Device.Kind.HOOK):
        try:
            return selectors.credential_of(bot, ids.parse_device(ref), kind)
        except ids.InvalidId:
            break
        except ChatError:
            continue
    raise Http404


@_posted
def rotate(request: HttpRequest, bot: str, device: str) -> HttpResponse:
    """Give a token or webhook another secret, and show it this once."""
    found = _bot(request, bot)
    credential = _credential(found, device)
    token = services.rotate(bot=found, device=credential)
    if credential.kind == Device.Kind.HOOK:
        return _page(
            request,
            found,
            secret=_address(request, token),
            secret_of=_("The address of “%(name)s”") % {"name": credential.name},
        )
    return _page(request, found, secret=token, secret_of=_("The token “%(name)s”") % {"name": credential.name})


@login_required
@require_POST
def revoke(request: HttpRequest, bot: str, device: str) -> HttpResponse:
    """Revoke a token or webhook."""
    found = _bot(request, bot)
    device_id = DeviceId(_credential(found, device).pk)
    return _tried(request, found, lambda: revoke_device(user=found.user, device_id=device_id), _("Revoked."))


# --- endpoints ------------------------------------------------------------------------------------


def _end(bot: Bot, ref: str) -> Endpoint:
    try:
        return endpoint_selectors.endpoint_of(bot, ids.parse_endpoint(ref))
    except (ids.InvalidId, ChatError):
        raise Http404 from None


@_posted
def make_endpoint(request: HttpRequest, bot: str) -> HttpResponse:
    """Make an endpoint, and show its secret this once."""
    found = _bot(request, bot)
    form = EndpointForm(request.POST, prefix="end")
    if not form.is_valid():
        return _page(request, found, 400, end_form=form)
    try:
        endpoint, secret = endpoints.make(bot=found, **form.cleaned_data)
    except ChatError as error:
        form.add_error(None, _sentence(error))
        return _page(request, found, error.http_status, end_form=form)
    return _page(request, found, secret=secret, secret_of=_("The secret of %(address)s") % {"address": endpoint.url})


@_posted
def act_on_endpoint(request: HttpRequest, bot: str, endpoint: str, act: str) -> HttpResponse:
    """Send a test, give it another secret, switch it on or off, or end it."""
    found = _bot(request, bot)
    end = _end(found, endpoint)
    if act == "secret":
        return _page(
            request,
            found,
            secret=endpoints.rotate(endpoint=end),
            secret_of=_("The secret of %(address)s") % {"address": end.url},
        )
    acts: dict[str, tuple[Callable[[], object], str]] = {
        "test": (lambda: endpoints.test(endpoint=end), _("A test is on its way.")),
        "on": (lambda: endpoints.change(endpoint=end, on=True), _("It is on again.")),
        "off": (lambda: endpoints.change(endpoint=end, on=False), _("It is off.")),
        "end": (lambda: endpoints.end(endpoint=end), _("It is gone.")),
    }
    if act not in acts:
        raise Http404
    return _tried(request, found, *acts[act])


@login_required
@require_POST
def redeliver(request: HttpRequest, bot: str, endpoint: str, event: str) -> HttpResponse:
    """Send an event again that was given up."""
    found = _bot(request, bot)
    end = _end(found, endpoint)

    def again() -> object:
        return endpoints.redeliver(endpoint=end, delivery_id=endpoint_selectors.delivery_id(event))

    return _tried(request, found, again, _("It is sent again."))
