"""The endpoints of bots, their tokens and their webhooks: parse, call one service, render (docs/bots.md)."""

from functools import partial
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import user_of
from accounts.api.serializers import UserSerializer, user_json
from accounts.api.views import AccountsAPIView
from accounts.models import SCOPES, Bot, Device
from accounts.selectors import bots as selectors
from accounts.services import bots as services
from accounts.services.devices import revoke_device
from messaging.api.endpoints import answers, checked
from messaging.api.parsing import BoundedListField, StrictCharField
from messaging.domain import ids
from messaging.domain.errors import InvalidInput, NotFound, TooLarge
from messaging.domain.ids import ConversationId, DeviceId

_answers = partial(answers, 401, 403, 429)
#: Conversations that one token can be limited to.
_MAX_CONVERSATIONS = 100


def _few(count: int) -> None:
    if count > _MAX_CONVERSATIONS:
        raise TooLarge(f"{count} entries; the limit is {_MAX_CONVERSATIONS}")


class NewBotSerializer(serializers.Serializer[Any]):
    """A bot to make."""

    username = StrictCharField(max_length=32)
    display_name = StrictCharField(max_length=80, required=False, default="", allow_blank=True)
    description = StrictCharField(max_length=300, required=False, default="", allow_blank=True)
    direct = serializers.ChoiceField(
        choices=Bot.Reach.values, required=False, default="everyone", help_text="Who may begin a DM with it."
    )
    for_all = serializers.BooleanField(
        required=False, default=False, help_text="Of the installation, not the maker's own; for its staff."
    )


class ChangedBotSerializer(serializers.Serializer[Any]):
    """What may be changed of a bot; what is left out stays as it is."""

    display_name = StrictCharField(max_length=80, required=False, allow_blank=True)
    description = StrictCharField(max_length=300, required=False, allow_blank=True)
    direct = serializers.ChoiceField(choices=Bot.Reach.values, required=False)


class BotSerializer(UserSerializer):
    """A bot, for who looks after it."""

    description = serializers.CharField()
    direct = serializers.ChoiceField(choices=Bot.Reach.values)
    owner = serializers.CharField(allow_null=True, help_text="`u_…`; null for a bot of the installation.")
    created_at = serializers.DateTimeField()


class BotsSerializer(serializers.Serializer[Any]):
    """Bots, the newest first."""

    results = BotSerializer(many=True)


class NewTokenSerializer(serializers.Serializer[Any]):
    """A token to make."""

    name = StrictCharField(max_length=120, help_text="Where it is kept, so that you know it again.")
    scopes = BoundedListField(
        child=serializers.ChoiceField(choices=SCOPES), check=_few, required=False, help_text="Both without it."
    )
    conversations = BoundedListField(
        child=StrictCharField(),
        check=_few,
        required=False,
        allow_null=True,
        default=None,
        help_text="`c_…` that it is good for; null: all that the bot is in.",
    )
    expires_in_days = serializers.IntegerField(
        required=False, allow_null=True, default=None, help_text="1 to 3,650; null: it is good until it is revoked."
    )


class TokenSerializer(serializers.Serializer[Any]):
    """A token of a bot."""

    id = serializers.CharField(help_text="`d_…`")
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES))
    conversations = serializers.ListField(child=serializers.CharField(), allow_null=True)
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)


class TokensSerializer(serializers.Serializer[Any]):
    """A bot's tokens, the newest first."""

    results = TokenSerializer(many=True)


class MadeTokenSerializer(TokenSerializer):
    """A token with its secret, which is shown this once."""

    token = serializers.CharField()


class NewHookSerializer(serializers.Serializer[Any]):
    """A webhook to make."""

    name = StrictCharField(max_length=120, help_text="Who writes by it, so that you know it again.")
    conversation = StrictCharField(help_text="`c_…` that it writes into; the bot is a member.")


class HookSerializer(serializers.Serializer[Any]):
    """A webhook of a bot."""

    id = serializers.CharField(help_text="`d_…`")
    name = serializers.CharField()
    conversation = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField()


class HooksSerializer(serializers.Serializer[Any]):
    """A bot's webhooks, the newest first."""

    results = HookSerializer(many=True)


class MadeHookSerializer(HookSerializer):
    """A webhook with its address, which is shown this once: whoever has it may write."""

    url = serializers.CharField()


def bot_json(bot: Bot) -> dict[str, Any]:
    """Return a bot as who looks after it sees it."""
    return {
        **user_json(bot.user),
        "description": bot.description,
        "direct": bot.direct,
        "owner": None if bot.owner_id is None else ids.user_ref(bot.owner_id),
        "created_at": bot.created_at,
    }


def _refs(device: Device) -> list[str] | None:
    return None if device.conversations is None else [ids.conversation_ref(it) for it in device.conversations]


def token_json(device: Device) -> dict[str, Any]:
    """Return a token without its secret."""
    return {
        "id": ids.device_ref(device.pk),
        "name": device.name,
        "scopes": device.scopes or list(SCOPES),
        "conversations": _refs(device),
        "created_at": device.created_at,
        "last_used_at": device.last_used_at,
        "expires_at": device.expires_at,
    }


def hook_json(device: Device) -> dict[str, Any]:
    """Return a webhook without its address."""
    return {
        "id": ids.device_ref(device.pk),
        "name": device.name,
        "conversation": (_refs(device) or [""])[0],
        "created_at": device.created_at,
        "last_used_at": device.last_used_at,
    }


def _bot(request: Request, ref: str) -> Bot:
    try:
        return selectors.bot_of(user_of(request), ids.parse_user(ref))
    except ids.InvalidId:
        raise NotFound("no such bot") from None


def _device_id(ref: str) -> DeviceId:
    try:
        return ids.parse_device(ref)
    except ids.InvalidId:
        raise NotFound("no such token") from None


def _conversation(ref: str) -> ConversationId:
    try:
        return ids.parse_conversation(ref)
    except ids.InvalidId:
        raise InvalidInput("conversations are named by c_…") from None


class BotsView(AccountsAPIView):
    """The bots that somebody looks after."""

    @extend_schema(operation_id="bots_list", responses=_answers(_200=BotsSerializer))
    def get(self, request: Request) -> Response:
        """List your bots, the newest first; of the staff, those of the installation as well."""
        return Response({"results": [bot_json(bot) for bot in selectors.bots_of(user_of(request))]})

    @extend_schema(
        operation_id="bots_create", request=NewBotSerializer, responses=_answers(400, 409, 413, _201=BotSerializer)
    )
    def post(self, request: Request) -> Response:
        """Make a bot: an account that gets in by tokens only. Who may is the operator's choice."""
        data = checked(NewBotSerializer(data=request.data))
        return Response(bot_json(services.make_bot(maker=user_of(request), **data)), status=201)


class BotView(AccountsAPIView):
    """One bot."""

    @extend_schema(operation_id="bots_retrieve", responses=_answers(404, _200=BotSerializer))
    def get(self, request: Request, bot: str) -> Response:
        """Show a bot of yours."""
        return Response(bot_json(_bot(request, bot)))

    @extend_schema(
        operation_id="bots_update", request=ChangedBotSerializer, responses=_answers(400, 404, 413, _200=BotSerializer)
    )
    def patch(self, request: Request, bot: str) -> Response:
        """Change a bot of yours."""
        data = checked(ChangedBotSerializer(data=request.data))
        return Response(bot_json(services.change_bot(bot=_bot(request, bot), **data)))

    @extend_schema(operation_id="bots_delete", responses=_answers(404, 503, _204=None))
    def delete(self, request: Request, bot: str) -> Response:
        """End a bot for good; what it wrote stays, without its name."""
        services.end_bot(bot=_bot(request, bot))
        return Response(status=204)


class TokensView(AccountsAPIView):
    """A bot's tokens."""

    @extend_schema(operation_id="bots_tokens_list", responses=_answers(404, _200=TokensSerializer))
    def get(self, request: Request, bot: str) -> Response:
        """List the tokens, the newest first, without their secrets."""
        rows = selectors.credentials_of(_bot(request, bot), Device.Kind.BOT)
        return Response({"results": [token_json(device) for device in rows]})

    @extend_schema(
        operation_id="bots_tokens_create",
        request=NewTokenSerializer,
        responses=_answers(400, 404, 409, 413, _201=MadeTokenSerializer),
    )
    def post(self, request: Request, bot: str) -> Response:
        """Make a token; its secret is in the answer, and nowhere else ever."""
        found = _bot(request, bot)
        data = checked(NewTokenSerializer(data=request.data))
        given = data["conversations"]
        device, token = services.make_bot_token(
            bot=found,
            name=data["name"],
            scopes=data.get("scopes", SCOPES),
            conversations=None if given is None else [_conversation(ref) for ref in given],
            expires_in_days=data["expires_in_days"],
        )
        return Response({**token_json(device), "token": token}, status=201)


class TokenView(AccountsAPIView):
    """One token of a bot."""

    @extend_schema(operation_id="bots_tokens_delete", responses=_answers(404, _204=None))
    def delete(self, request: Request, bot: str, device: str) -> Response:
        """Revoke a token: it is void at once, and its sockets close within a second."""
        _revoke(_bot(request, bot), device, Device.Kind.BOT)
        return Response(status=204)


class RotateTokenView(AccountsAPIView):
    """Another secret for a token."""

    @extend_schema(operation_id="bots_tokens_rotate", request=None, responses=_answers(404, _200=MadeTokenSerializer))
    def post(self, request: Request, bot: str, device: str) -> Response:
        """Give a token another secret; the one before is void at once."""
        found = _bot(request, bot)
        token = selectors.credential_of(found, _device_id(device), Device.Kind.BOT)
        return Response({**token_json(token), "token": services.rotate(bot=found, device=token)})


class HooksView(AccountsAPIView):
    """A bot's incoming webhooks."""

    @extend_schema(operation_id="bots_webhooks_list", responses=_answers(404, _200=HooksSerializer))
    def get(self, request: Request, bot: str) -> Response:
        """List the webhooks, the newest first, without their addresses."""
        rows = selectors.credentials_of(_bot(request, bot), Device.Kind.HOOK)
        return Response({"results": [hook_json(device) for device in rows]})

    @extend_schema(
        operation_id="bots_webhooks_create",
        request=NewHookSerializer,
        responses=_answers(400, 404, 409, 413, _201=MadeHookSerializer),
    )
    def post(self, request: Request, bot: str) -> Response:
        """Make an address that writes into one conversation as the bot; it is in the answer, and nowhere else ever."""
        found = _bot(request, bot)
        data = checked(NewHookSerializer(data=request.data))
        hook, token = services.make_hook(bot=found, name=data["name"], conversation=_conversation(data["conversation"]))
        return Response({**hook_json(hook), "url": _url(request, token)}, status=201)


class HookView(AccountsAPIView):
    """One incoming webhook."""

    @extend_schema(operation_id="bots_webhooks_delete", responses=_answers(404, _204=None))
    def delete(self, request: Request, bot: str, device: str) -> Response:
        """Revoke a webhook: its address answers 404 from now on."""
        _revoke(_bot(request, bot), device, Device.Kind.HOOK)
        return Response(status=204)


class RotateHookView(AccountsAPIView):
    """Another address for a webhook."""

    @extend_schema(operation_id="bots_webhooks_rotate", request=None, responses=_answers(404, _200=MadeHookSerializer))
    def post(self, request: Request, bot: str, device: str) -> Response:
        """Give a webhook another address; the one before answers 404 from now on."""
        found = _bot(request, bot)
        hook = selectors.credential_of(found, _device_id(device), Device.Kind.HOOK)
        return Response({**hook_json(hook), "url": _url(request, services.rotate(bot=found, device=hook))})


def _revoke(bot: Bot, device: str, kind: Device.Kind) -> None:
    found = selectors.credential_of(bot, _device_id(device), kind)
    revoke_device(user=bot.user, device_id=DeviceId(found.pk))


def _url(request: Request, token: str) -> str:
    return str(request.build_absolute_uri(f"/v1/hooks/{token}"))
