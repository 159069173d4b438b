"""How log lines look. No text of a message is in one, whatever failed: see ``_said``."""

import json
import logging
import os
import socket
import time
import traceback
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final

_MAX_SAID: Final = 300
_PRINTED: Final = "celery.redirected"
#: Control characters -> how Python writes them.
_CONTROLS: Final = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def _said(error: BaseException) -> str:
    """Return what an error says, without the rows that databases quote from the second line on."""
    return str(error).partition("\n")[0][:_MAX_SAID].translate(_CONTROLS)


def _told(error: BaseException, seen: set[int]) -> Iterator[str]:
    """Yield the lines of a traceback, causes first."""
    seen.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and id(cause) not in seen:
        yield from _told(cause, seen)
        yield "which led to:\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__module__}.{type(error).__qualname__}: {_said(error)}\n"
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield "of which one was:\n"
            yield from _told(inner, seen)


class NoTicks(logging.Filter):
    """Leaves out what Celery says of jobs that the clock begins every few seconds, unless something is wrong."""

    def __init__(self, tasks: Sequence[str]) -> None:
        """``tasks``: their names."""
        super().__init__()
        self._tasks = tuple(tasks)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is to be seen."""
        if record.levelno > logging.INFO:
            return True
        line = record.getMessage()
        return not any(task in line for task in self._tasks)


class RouteForPath(logging.Filter):
    """Has lines about requests name their route and not their path: in some paths there is a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True; the record's path becomes its route, of one that leads nowhere the beginning."""
        path = getattr(getattr(record, "request", None), "path", None)
        if path is not None and isinstance(record.args, tuple):
            match = record.request.resolver_match  # type: ignore[attr-defined]  # a request's line has one
            shown = f"/{match.route}" if match is not None else "/".join([*path.split("/")[:3], "…"])
            record.args = tuple(shown if arg == path else arg for arg in record.args)
        return True


class TextFormatter(logging.Formatter):
    """Lines for people; times in UTC."""

    converter = time.gmtime  # type: ignore[assignment]  # typed without its argument
    default_msec_format = "%s,%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line without its traceback; nothing that a client wrote begins another or moves the cursor."""
        line = super().formatMessage(record)
        # Celery hands on what a worker prints: mail on the console, whose lines somebody wants to read.
        return line if record.name == _PRINTED else line.translate(_CONTROLS)

    def formatException(self, ei: ExcInfo) -> str:
        """Return the traceback; of each error no more than its first line."""
        return "" if ei[1] is None else "".join(_told(ei[1], set())).rstrip("\n")


class JsonFormatter(TextFormatter):
    """One JSON object a line: ``ts`` (UTC), ``level``, ``logger``, ``message``, ``pod``, and what is at hand:

    ``conn``, ``user`` and ``device`` of a socket; ``request``, ``method``, ``route`` and ``user`` of a request;
    ``status`` of an answer; ``error``, a traceback.
    """

    def __init__(self, *, pod: str) -> None:
        """``pod``: empty for host name and process id."""
        super().__init__()
        self._pod = pod
        self._host = socket.gethostname()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        # Not at the top: the settings name this module before there are models.
        from messaging import log_context

        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "ts": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "pod": self._pod or f"{self._host}-{os.getpid()}",
            **log_context.fields(getattr(record, "request", None)),
        }
        status = getattr(record, "status_code", None)
        if isinstance(status, int):
            line["status"] = status
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)
