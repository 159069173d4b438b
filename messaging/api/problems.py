"""Every refusal of the REST API as an RFC 9457 problem: one shape, and the socket's codes (design section 5)."""

import logging
import math
from typing import Any, Final

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views import defaults
from prometheus_client import Counter
from rest_framework import exceptions, status
from rest_framework.response import Response

from messaging.domain import errors
from messaging.domain.errors import ChatError
from messaging.ports import StoreUnavailable

logger = logging.getLogger(__name__)

REFUSED = Counter("chat_http_refused_total", "REST requests answered with a problem, by code.", ["code"])

CONTENT_TYPE: Final = "application/problem+json"

#: What HTTP itself refuses, and the socket has no word for.
_HTTP_ONLY: Final[dict[type[exceptions.APIException], tuple[str, str]]] = {
    exceptions.MethodNotAllowed: ("method_not_allowed", "Method not allowed"),
    exceptions.NotAcceptable: ("not_acceptable", "Not acceptable"),
    exceptions.UnsupportedMediaType: ("unsupported_media_type", "Unsupported media type"),
}
_SAME: Final[tuple[tuple[type[exceptions.APIException], type[ChatError]], ...]] = (
    (exceptions.ParseError, errors.BadFrame),
    (exceptions.NotAuthenticated, errors.Unauthenticated),
    (exceptions.AuthenticationFailed, errors.Unauthenticated),
    (exceptions.PermissionDenied, errors.Forbidden),
    (exceptions.NotFound, errors.NotFound),
    (exceptions.Throttled, errors.RateLimited),
    (exceptions.ValidationError, errors.InvalidInput),
)


def problem(
    *,
    status_code: int,
    code: str,
    title: str,
    detail: str,
    retry_after: float | None = None,
    field_errors: Any = None,
) -> dict[str, Any]:
    """Return the body of a problem. ``retry_after`` in seconds; ``errors`` maps fields to what is wrong with them."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status_code,
        "detail": detail,
        "code": code,
    }
    if retry_after is not None:
        body["retry_after"] = retry_after
    if field_errors is not None:
        body["errors"] = field_errors
    return body


def _response(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    REFUSED.labels(body["code"]).inc()
    response = Response(body, status=body["status"], content_type=CONTENT_TYPE, headers=headers)
    if "retry_after" in body:
        response["Retry-After"] = str(math.ceil(body["retry_after"]))
    return response


def problem_of(error: ChatError) -> dict[str, Any]:
    """Return the body of the problem that tells of an error."""
    return problem(
        status_code=error.http_status,
        code=error.code,
        title=error.title,
        detail=error.detail,
        retry_after=error.retry_after,
    )


def _first_sentence(details: Any, path: str = "") -> str:
    """Return the first of nested field errors as one sentence."""
    if isinstance(details, dict) and details:
        name, inner = next(iter(details.items()))
        where = path if name == "non_field_errors" else f"{path}.{name}" if path else str(name)
        return _first_sentence(inner, where)
    if isinstance(details, list) and details:
        return _first_sentence(next((item for item in details if item), details[0]), path)
    return f"{path}: {details}" if path else str(details)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the problem that tells of ``error``; None for what is a defect of ours (Django answers 500)."""
    if isinstance(error, ChatError):
        return _response(problem_of(error))
    if isinstance(error, Http404):
        return _response(problem_of(errors.NotFound()))
    if isinstance(error, DjangoPermissionDenied):
        return _response(problem_of(errors.Forbidden()))
    if isinstance(error, RequestDataTooBig):
        return _response(problem_of(errors.TooLarge("the request is too large")))
    if isinstance(error, SuspiciousOperation | BadRequest):
        # Too many fields, a multipart body without parts: the client's doing, and no traceback in the log.
        return _response(problem_of(errors.BadFrame("the request cannot be read")))
    if isinstance(error, OperationalError | InterfaceError | StoreUnavailable):
        logger.exception("the store does not answer")
        return _response(problem_of(errors.Unavailable("try again in a moment", retry_after=2.0)))
    if not isinstance(error, exceptions.APIException):
        return None
    return _of_api_exception(error)


def _of_api_exception(error: exceptions.APIException) -> Response:
    headers: dict[str, str] = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    code, title = "internal", "Internal error"
    for drf_type, chat_type in _SAME:
        if isinstance(error, drf_type):
            code, title = chat_type.code, chat_type.title
    for http_type, words in _HTTP_ONLY.items():
        if isinstance(error, http_type):
            code, title = words
    retry_after: float | None = None
    field_errors = None
    detail = str(error.detail)
    if isinstance(error, exceptions.Throttled):
        retry_after = float(getattr(error, "wait", None) or 1)
        detail = f"too many requests; try again in {math.ceil(retry_after)} s"
    if isinstance(error, exceptions.ValidationError):
        field_errors = error.detail if isinstance(error.detail, dict) else None
        detail = _first_sentence(error.detail)
    return _response(
        problem(
            status_code=error.status_code,
            code=code,
            title=title,
            detail=detail,
            retry_after=retry_after,
            field_errors=field_errors,
        ),
        headers,
    )


# --- what never reaches a view --------------------------------------------------------------------


def is_api(request: HttpRequest) -> bool:
    """Return whether a request is one of REST."""
    return f"{request.path}/".startswith("/v1/")


def plain(error: ChatError) -> JsonResponse:
    """Return the problem that tells of an error, where no view of REST was reached."""
    return JsonResponse(problem_of(error), status=error.http_status, content_type=CONTENT_TYPE)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer what Django itself refuses: a problem under /v1, its own page elsewhere."""
    return plain(errors.BadFrame()) if is_api(request) else defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer 403: a problem under /v1, Django's page elsewhere."""
    return plain(errors.Forbidden()) if is_api(request) else defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer 404: a problem under /v1, Django's page elsewhere."""
    return plain(errors.NotFound()) if is_api(request) else defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500: a problem under /v1, Django's page elsewhere. Neither tells what went wrong."""
    if not is_api(request):
        return defaults.server_error(request)
    body = problem(
        status_code=status.HTTP_500_INTERNAL_SERVER_ERROR,
        code=ChatError.code,
        title=ChatError.title,
        detail="something went wrong on our side",
    )
    return JsonResponse(body, status=500, content_type=CONTENT_TYPE)
