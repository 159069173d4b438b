"""The push endpoints: parse, call one service or selector, render."""

from functools import partial

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from accounts.api.authentication import user_of
from messaging.api.endpoints import answers, checked
from messaging.api.parsing import BoundedJSONParser
from messaging.domain import ids
from messaging.domain.errors import NotFound
from messaging.domain.ids import DeviceId
from push import selectors, services
from push.api import serializers

#: With what any of them may answer.
_answers = partial(answers, 401, 429)


def _device_id(text: str) -> DeviceId:
    try:
        return ids.parse_device(text)
    except ids.InvalidId:
        raise NotFound("no such device") from None


class PushView(APIView):
    """Base of the push endpoints: JSON only, and bounded."""

    parser_classes = [BoundedJSONParser]


class SubscriptionView(PushView):
    """Where one device gets its pushes."""

    @extend_schema(
        operation_id="devices_push_retrieve", responses=_answers(404, _200=serializers.SubscriptionSerializer)
    )
    def get(self, request: Request, device: str) -> Response:
        """Show how the device gets pushes, and whether the last one arrived at its provider."""
        found = selectors.subscription_of(user_of(request), _device_id(device))
        return Response(serializers.subscription_json(found))

    @extend_schema(
        operation_id="devices_push_put",
        request=serializers.NewSubscriptionSerializer,
        responses=_answers(400, 404, _200=serializers.SubscriptionSerializer),
    )
    def put(self, request: Request, device: str) -> Response:
        """Let the device get pushes. An address moves here from any other device that had it."""
        device_id = _device_id(device)
        data = checked(serializers.NewSubscriptionSerializer(data=request.data))
        new = services.NewSubscription(
            provider=data["provider"],
            address=data["endpoint"] if data["provider"] == "webpush" else data["token"],
            keys=dict(data.get("keys", {})),
            environment=data["environment"],
            topic=data["topic"],
            enabled=data["enabled"],
            content=data["content"],
        )
        subscription = services.subscribe(user=user_of(request), device_id=device_id, new=new)
        return Response(serializers.subscription_json(subscription))

    @extend_schema(operation_id="devices_push_delete", responses=_answers(404, _204=None))
    def delete(self, request: Request, device: str) -> Response:
        """Send this device no more pushes."""
        services.unsubscribe(user=user_of(request), device_id=_device_id(device))
        return Response(status=204)


class TestThrottle(UserRateThrottle):
    """Test pushes, counted per user."""

    scope = "push-test"


class TestView(PushView):
    """A push that says that pushes arrive."""

    throttle_classes = [TestThrottle]

    @extend_schema(operation_id="devices_push_test", request=None, responses=_answers(404, 503, _202=None))
    def post(self, request: Request, device: str) -> Response:
        """Send a test push; what became of it is seen at the device's subscription."""
        services.send_test_push(user=user_of(request), device_id=_device_id(device))
        return Response(status=202)


class SettingsView(PushView):
    """What the user wants of pushes."""

    @extend_schema(
        operation_id="me_push_settings_retrieve", responses=_answers(_200=serializers.PushSettingsSerializer)
    )
    def get(self, request: Request) -> Response:
        """Show the settings, and what a client needs in order to subscribe."""
        return Response(serializers.settings_json(selectors.settings_of(user_of(request))))

    @extend_schema(
        operation_id="me_push_settings_update",
        request=serializers.ChangeSettingsSerializer,
        responses=_answers(400, _200=serializers.PushSettingsSerializer),
    )
    def patch(self, request: Request) -> Response:
        """Change some of the settings."""
        changes = checked(serializers.ChangeSettingsSerializer(data=request.data))
        return Response(serializers.settings_json(services.change_settings(user=user_of(request), changes=changes)))
