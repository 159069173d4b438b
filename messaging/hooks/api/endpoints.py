"""The endpoints of what bots are told: parse, call one service, render (docs/bots.md)."""

from functools import partial
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import user_of
from accounts.models import Bot
from accounts.selectors.bots import bot_of
from messaging.api.endpoints import answers, checked
from messaging.api.parsing import BoundedJSONParser, BoundedListField, StrictCharField
from messaging.domain import ids
from messaging.domain.errors import NotFound, TooLarge
from messaging.hooks import endpoints, selectors
from messaging.hooks.models import EVENTS, Delivery, Endpoint

_answers = partial(answers, 401, 403, 404, 429)
_MAX_EVENTS = 50


def _few(count: int) -> None:
    if count > _MAX_EVENTS:
        raise TooLarge(f"{count} entries; the limit is {_MAX_EVENTS}")


def _events(**more: Any) -> BoundedListField:
    return BoundedListField(child=serializers.ChoiceField(choices=EVENTS), check=_few, **more)


class NewEndpointSerializer(serializers.Serializer[Any]):
    """An address to which events are to be sent."""

    url = StrictCharField(max_length=500, help_text="`https://…`, of the world's, not of a private network.")
    events = _events(help_text="Which; `mention` are messages that mention the bot.")


class ChangedEndpointSerializer(serializers.Serializer[Any]):
    """What may be changed of an endpoint; what is left out stays as it is."""

    url = StrictCharField(max_length=500, required=False)
    events = _events(required=False)
    on = serializers.BooleanField(required=False, help_text="`true` begins anew after it was switched off.")


class EndpointSerializer(serializers.Serializer[Any]):
    """An address to which a bot's events are sent, and how that goes."""

    id = serializers.CharField(help_text="`e_…`")
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.ChoiceField(choices=EVENTS))
    on = serializers.BooleanField()
    off_reason = serializers.CharField(help_text="Why it is off; empty while it is on.")
    failures = serializers.IntegerField(help_text="In a row.")
    paused_until = serializers.DateTimeField(allow_null=True, help_text="Nothing is tried before.")
    last_error = serializers.CharField()
    last_success_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class EndpointsSerializer(serializers.Serializer[Any]):
    """A bot's endpoints, the newest first."""

    results = EndpointSerializer(many=True)


class MadeEndpointSerializer(EndpointSerializer):
    """An endpoint with the secret that signs what it is sent, which is shown this once."""

    secret = serializers.CharField(help_text="`whsec_…`, as libraries for Standard Webhooks take it.")


class DeliverySerializer(serializers.Serializer[Any]):
    """An event that an endpoint has not taken."""

    id = serializers.CharField(help_text="`evt_…`, as in the header `webhook-id`.")
    type = serializers.CharField()
    state = serializers.ChoiceField(choices=["waiting", "dead"])
    attempts = serializers.IntegerField()
    last_error = serializers.CharField()
    created_at = serializers.DateTimeField()
    next_at = serializers.DateTimeField(help_text="Of one that waits: when it is tried again at the earliest.")


class DeliveriesSerializer(serializers.Serializer[Any]):
    """What an endpoint has not taken, the newest first; at most 50."""

    results = DeliverySerializer(many=True)


def endpoint_json(endpoint: Endpoint) -> dict[str, Any]:
    """Return an endpoint without its secret."""
    return {
        "id": ids.endpoint_ref(endpoint.pk),
        "url": endpoint.url,
        "events": endpoint.events,
        "on": endpoint.off_at is None,
        "off_reason": endpoint.off_reason,
        "failures": endpoint.failures,
        "paused_until": endpoint.paused_until,
        "last_error": endpoint.last_error,
        "last_success_at": endpoint.last_success_at,
        "created_at": endpoint.created_at,
    }


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """Return an event and how it stands with it."""
    return {
        "id": delivery.ref,
        "type": delivery.type,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "last_error": delivery.last_error,
        "created_at": delivery.created_at,
        "next_at": delivery.next_at,
    }


def _bot(request: Request, ref: str) -> Bot:
    try:
        return bot_of(user_of(request), ids.parse_user(ref))
    except ids.InvalidId:
        raise NotFound("no such bot") from None


def _endpoint(request: Request, bot: str, ref: str) -> Endpoint:
    try:
        return selectors.endpoint_of(_bot(request, bot), ids.parse_endpoint(ref))
    except ids.InvalidId:
        raise NotFound("no such endpoint") from None


class _View(APIView):
    parser_classes = [BoundedJSONParser]


class EndpointsView(_View):
    """A bot's endpoints."""

    @extend_schema(operation_id="bots_endpoints_list", responses=_answers(_200=EndpointsSerializer))
    def get(self, request: Request, bot: str) -> Response:
        """List the endpoints, the newest first, without their secrets."""
        rows = selectors.endpoints_of(_bot(request, bot))
        return Response({"results": [endpoint_json(endpoint) for endpoint in rows]})

    @extend_schema(
        operation_id="bots_endpoints_create",
        request=NewEndpointSerializer,
        responses=_answers(400, 409, 413, _201=MadeEndpointSerializer),
    )
    def post(self, request: Request, bot: str) -> Response:
        """Have events of the bot's conversations sent to an address; its secret is in the answer, and nowhere else."""
        found = _bot(request, bot)
        data = checked(NewEndpointSerializer(data=request.data))
        endpoint, secret = endpoints.make(bot=found, url=data["url"], events=data["events"])
        return Response({**endpoint_json(endpoint), "secret": secret}, status=201)


class EndpointView(_View):
    """One endpoint."""

    @extend_schema(operation_id="bots_endpoints_retrieve", responses=_answers(_200=EndpointSerializer))
    def get(self, request: Request, bot: str, endpoint: str) -> Response:
        """Show an endpoint, and how it goes with it."""
        return Response(endpoint_json(_endpoint(request, bot, endpoint)))

    @extend_schema(
        operation_id="bots_endpoints_update",
        request=ChangedEndpointSerializer,
        responses=_answers(400, 413, _200=EndpointSerializer),
    )
    def patch(self, request: Request, bot: str, endpoint: str) -> Response:
        """Change an endpoint, or switch it off or on."""
        data = checked(ChangedEndpointSerializer(data=request.data))
        return Response(endpoint_json(endpoints.change(endpoint=_endpoint(request, bot, endpoint), **data)))

    @extend_schema(operation_id="bots_endpoints_delete", responses=_answers(_204=None))
    def delete(self, request: Request, bot: str, endpoint: str) -> Response:
        """End an endpoint, with all that waits for it."""
        endpoints.end(endpoint=_endpoint(request, bot, endpoint))
        return Response(status=204)


class SecretView(_View):
    """Another secret for an endpoint."""

    @extend_schema(operation_id="bots_endpoints_rotate", request=None, responses=_answers(_200=MadeEndpointSerializer))
    def post(self, request: Request, bot: str, endpoint: str) -> Response:
        """Give an endpoint another secret: what is sent from now on is signed with it."""
        found = _endpoint(request, bot, endpoint)
        return Response({**endpoint_json(found), "secret": endpoints.rotate(endpoint=found)})


class TestView(_View):
    """An event to try an endpoint with."""

    @extend_schema(operation_id="bots_endpoints_test", request=None, responses=_answers(409, _202=DeliverySerializer))
    def post(self, request: Request, bot: str, endpoint: str) -> Response:
        """Send an event `ping`, as others are sent."""
        return Response(delivery_json(endpoints.test(endpoint=_endpoint(request, bot, endpoint))), status=202)


class DeliveriesView(_View):
    """What an endpoint has not taken."""

    @extend_schema(operation_id="bots_deliveries_list", responses=_answers(_200=DeliveriesSerializer))
    def get(self, request: Request, bot: str, endpoint: str) -> Response:
        """List what waits, and what was given up within a week."""
        rows = selectors.deliveries_of(_endpoint(request, bot, endpoint))
        return Response({"results": [delivery_json(delivery) for delivery in rows]})


class RedeliverView(_View):
    """One event again."""

    @extend_schema(
        operation_id="bots_deliveries_redeliver", request=None, responses=_answers(409, _202=DeliverySerializer)
    )
    def post(self, request: Request, bot: str, endpoint: str, event: str) -> Response:
        """Send an event again that was given up."""
        found = _endpoint(request, bot, endpoint)
        delivery = endpoints.redeliver(endpoint=found, delivery_id=selectors.delivery_id(event))
        return Response(delivery_json(delivery), status=202)
