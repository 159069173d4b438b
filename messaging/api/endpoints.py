"""What the endpoints of every application share: how they are described, and how their input is checked."""

from typing import Any

from messaging.api.problems import CONTENT_TYPE
from messaging.api.serializers import ProblemSerializer


def answers(*problems: int, **successes: Any) -> dict[Any, Any]:
    """Return the responses of an endpoint: successes as ``_200=Serializer``, and the problems it may answer with."""
    found: dict[Any, Any] = {int(key[1:]): value for key, value in successes.items()}
    for status in problems:
        found[status, CONTENT_TYPE] = ProblemSerializer
    return found


def checked(serializer: Any) -> dict[str, Any]:
    """Return the validated fields. Raises rest_framework's ValidationError."""
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data
