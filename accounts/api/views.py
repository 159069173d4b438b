"""The accounts endpoints: parse, call one service or selector, render (design section 5)."""

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate, update_session_auth_hash
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle, SimpleRateThrottle
from rest_framework.views import APIView

from accounts.api import serializers
from accounts.api.authentication import user_of
from accounts.api.serializers import device_json, me_json, user_json
from accounts.mfa import require_code
from accounts.models import Device, User
from accounts.selectors import credentials, people
from accounts.services import devices as device_service
from accounts.services import people as people_service
from accounts.services.proof import prove
from accounts.services.suspension import refuse_suspended
from messaging.api.endpoints import answers, checked
from messaging.api.parsing import BoundedJSONParser
from messaging.domain import ids
from messaging.domain.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from messaging.domain.ids import UserId
from messaging.rights import erasures

#: With what any of them may answer.
_answers = partial(answers, 429)


def _device(request: Request) -> Device | None:
    """Return the device that asks: the token's, or the browser session's."""
    if isinstance(request.auth, Device):
        return request.auth
    key = request.session.session_key
    return credentials.device_for_session(key, user_agent=request.headers.get("User-Agent", "")) if key else None


def _user_id(text: str) -> UserId:
    try:
        return ids.parse_user(text)
    except ids.InvalidId:
        raise NotFound("no such user") from None


class LoginThrottle(SimpleRateThrottle):
    """Tries of a password, counted per address and user name together."""

    scope = "login"

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Count what comes from one address for one name."""
        name = request.data.get("username", "") if isinstance(request.data, dict) else ""
        # A digest: what a client writes may not be fit for a key.
        digest = sha256(str(name).lower().encode()).hexdigest()
        return self.cache_format % {"scope": self.scope, "ident": f"{self.get_ident(request)}-{digest}"}


class NameThrottle(SimpleRateThrottle):
    """Failures to sign in to one account, from all addresses together; a success is none."""

    scope = "login-name"

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Count by the name."""
        name = request.data.get("username", "") if isinstance(request.data, dict) else ""
        digest = sha256(str(name).lower().encode()).hexdigest()
        return self.cache_format % {"scope": self.scope, "ident": digest}

    def throttle_success(self) -> bool:
        """Let it be tried; whether it fails is not known yet."""
        return True

    def count_failure(self, request: Request) -> None:
        """Count a try that failed."""
        self.key = self.get_cache_key(request, None)
        self.history = self.cache.get(self.key, [])
        self.now = self.timer()
        super().throttle_success()


class PasswordThrottle(SimpleRateThrottle):
    """Tries of the present password, counted per user: nothing that the request says counts."""

    scope = "login"

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Count what one user tries."""
        return self.cache_format % {"scope": "password", "ident": user_of(request).pk}


class SignUpThrottle(SimpleRateThrottle):
    """New accounts, counted per address."""

    scope = "signup"

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Count what comes from one address."""
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}


class AccountsAPIView(APIView):
    """Base of the accounts endpoints."""

    parser_classes: Sequence[Any] = [BoundedJSONParser]


class FormOrJSON:
    """Parsers of the endpoints that people try with ``curl -d``."""

    from rest_framework.parsers import FormParser

    parser_classes = [BoundedJSONParser, FormParser]


class SignUpView(AccountsAPIView):
    """New accounts."""

    parser_classes = FormOrJSON.parser_classes
    authentication_classes: Sequence[Any] = []
    permission_classes = [AllowAny]
    throttle_classes = [SignUpThrottle]

    @extend_schema(
        operation_id="accounts_create",
        request=serializers.SignUpSerializer,
        responses=_answers(400, 403, 409, _201=serializers.SignedInSerializer),
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Create an account and sign its first device in; 403 where the server takes none by password."""
        if settings.SIGNUP != "open":
            raise Forbidden("accounts are not made here")
        data = checked(serializers.SignUpSerializer(data=request.data))
        user = people_service.sign_up(
            username=data["username"], password=data["password"], display_name=data["display_name"]
        )
        return _signed_in(user, data["device"], request)


class TokensView(AccountsAPIView):
    """Bearer tokens."""

    parser_classes = FormOrJSON.parser_classes
    authentication_classes: Sequence[Any] = []
    permission_classes = [AllowAny]
    throttle_classes = [LoginThrottle, NameThrottle]

    @extend_schema(
        operation_id="tokens_create",
        request=serializers.SignInSerializer,
        responses=_answers(400, 401, 403, _201=serializers.SignedInSerializer),
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Sign a device in. An unknown user and a wrong password look alike; a suspended user is told so (403).

        An account that was to be deleted (`POST /v1/me/erasure`) is kept.
        """
        data = checked(serializers.SignInSerializer(data=request.data))
        # ``authenticate`` hashes for unknown users as well, so that neither can be told by its time.
        user = authenticate(request._request, username=data["username"].lower(), password=data["password"])
        try:
            if not isinstance(user, User):
                raise Unauthenticated("the user name or password is not right")
            require_code(user, data["code"])
        except Unauthenticated:
            NameThrottle().count_failure(request)
            raise
        refuse_suspended(user)
        erasures.cancel(user=user)
        return _signed_in(user, data["device"], request)


def _signed_in(user: User, name: str, request: Request) -> Response:
    device, token = device_service.sign_in_device(
        user=user, name=name, user_agent=request.headers.get("User-Agent", "")
    )
    return Response(
        {"user": user_json(user), "token": token, "device": device_json(device, current=device)}, status=201
    )


class CurrentTokenView(AccountsAPIView):
    """The device that asks."""

    @extend_schema(operation_id="tokens_delete_current", responses=_answers(401, 404, _204=None))
    def delete(self, request: Request) -> Response:
        """Sign this device out."""
        device = _device(request)
        if device is None:
            raise NotFound("no such device")
        device_service.revoke_device(user=user_of(request), device_id=ids.DeviceId(device.pk))
        return Response(status=204)


class DevicesView(AccountsAPIView):
    """Where the user is signed in."""

    @extend_schema(operation_id="devices_list", responses=_answers(401, _200=serializers.DevicesSerializer))
    def get(self, request: Request) -> Response:
        """List the devices, most recently used first."""
        current = _device(request)
        rows = credentials.devices_of(user_of(request))
        return Response({"results": [device_json(device, current=current) for device in rows]})


class DeviceView(AccountsAPIView):
    """One device."""

    @extend_schema(operation_id="devices_delete", responses=_answers(401, 404, _204=None))
    def delete(self, request: Request, device: str) -> Response:
        """Sign a device out; its sockets close within a second."""
        try:
            device_id = ids.parse_device(device)
        except ids.InvalidId:
            raise NotFound("no such device") from None
        device_service.revoke_device(user=user_of(request), device_id=device_id)
        return Response(status=204)


class OtherDevicesView(AccountsAPIView):
    """Every device but the one that asks."""

    throttle_classes = [PasswordThrottle]

    @extend_schema(
        operation_id="devices_revoke_others",
        request=serializers.ProofSerializer,
        responses=_answers(400, 401, 403, _204=None),
    )
    def post(self, request: Request) -> Response:
        """Sign out everywhere else. `code`: of the second factor, where there is one."""
        prove(user=user_of(request), **checked(serializers.ProofSerializer(data=request.data)))
        device_service.revoke_others(user=user_of(request), keep=_device(request))
        return Response(status=204)


class MeView(AccountsAPIView):
    """The user that asks."""

    @extend_schema(operation_id="me_retrieve", responses=_answers(401, _200=serializers.MeSerializer))
    def get(self, request: Request) -> Response:
        """Show the profile."""
        return Response(me_json(user_of(request)))

    @extend_schema(
        operation_id="me_update",
        request=serializers.ProfileSerializer,
        responses=_answers(400, 401, 403, _200=serializers.MeSerializer),
    )
    def patch(self, request: Request) -> Response:
        """Change the profile. Another `email`, to which a new password can be sent, needs `password` and `code`."""
        user, changes = user_of(request), checked(serializers.ProfileSerializer(data=request.data))
        password, code = changes.pop("password"), changes.pop("code")
        if people_service.moves_mail(user, changes):
            prove(user=user, password=password, code=code)
        return Response(me_json(people_service.update_profile(user=user, **changes)))

    def get_throttles(self) -> list[BaseThrottle]:
        """Count what has a password along as a try of it."""
        tries = self.request.method == "PATCH" and isinstance(self.request.data, dict) and "email" in self.request.data
        return [PasswordThrottle()] if tries else super().get_throttles()


class PasswordView(AccountsAPIView):
    """The password."""

    throttle_classes = [PasswordThrottle]

    @extend_schema(
        operation_id="me_password", request=serializers.PasswordSerializer, responses=_answers(400, 401, _204=None)
    )
    def post(self, request: Request) -> Response:
        """Change the password; every other device is signed out."""
        data = checked(serializers.PasswordSerializer(data=request.data))
        user = user_of(request)
        people_service.change_password(user=user, current=data["current"], new=data["new"], keep=_device(request))
        if not isinstance(request.auth, Device):
            # A session is void after a new password, unless it is told; it gets a new key, and the device follows.
            old_key = request.session.session_key
            update_session_auth_hash(request._request, user)
            new_key = request.session.session_key
            if old_key and new_key:
                device_service.adopt_session(old_key=old_key, new_key=new_key)
        return Response(status=204)


class UsersView(AccountsAPIView):
    """People."""

    @extend_schema(
        operation_id="users_search",
        parameters=[OpenApiParameter("q", OpenApiTypes.STR, required=True, description="Beginning of a name.")],
        responses=_answers(400, 401, _200=serializers.UsersSerializer),
    )
    def get(self, request: Request) -> Response:
        """Find people by the beginning of their user name or display name; at most 20."""
        query = request.query_params.get("q", "").strip()
        if not query or len(query) > 80 or "\x00" in query:
            raise InvalidInput("q: 1 to 80 characters")
        found = people.search(viewer=UserId(user_of(request).pk), query=query)
        return Response({"results": [user_json(card) for card in found]})


class UserView(AccountsAPIView):
    """One person."""

    @extend_schema(operation_id="users_retrieve", responses=_answers(401, 404, _200=serializers.UserSerializer))
    def get(self, request: Request, user: str) -> Response:
        """Show a user."""
        user_id = _user_id(user)
        card = people.cards_for(UserId(user_of(request).pk), [user_id]).get(user_id)
        if card is None:
            raise NotFound("no such user")
        return Response(user_json(card))


class BlocksView(AccountsAPIView):
    """Whom the user has blocked."""

    @extend_schema(operation_id="blocks_list", responses=_answers(401, _200=serializers.UsersSerializer))
    def get(self, request: Request) -> Response:
        """List the blocked people."""
        return Response({"results": [user_json(card) for card in people.blocked_by(UserId(user_of(request).pk))]})


class BlockView(AccountsAPIView):
    """One block."""

    @extend_schema(operation_id="blocks_put", request=None, responses=_answers(401, 404, _204=None))
    def put(self, request: Request, user: str) -> Response:
        """Block someone."""
        people_service.block(user=user_of(request), other_id=_user_id(user))
        return Response(status=204)

    @extend_schema(operation_id="blocks_delete", responses=_answers(401, 404, _204=None))
    def delete(self, request: Request, user: str) -> Response:
        """Unblock someone."""
        people_service.unblock(user=user_of(request), other_id=_user_id(user))
        return Response(status=204)
