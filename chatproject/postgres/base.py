"""PostgreSQL as Django speaks to it, but quick to say that it is away (docs/decisions/0093).

A connection of the pool is waited for up to five seconds, since all may be in use. Where there is no server, that is
five seconds of a thread each time, and the few threads for the database also have what asks Cassandra to do.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg
from django.db.backends.postgresql import base
from psycopg import pq
from psycopg.conninfo import make_conninfo

logger = logging.getLogger(__name__)

#: While it is away, somebody asks this often whether it is back.
_ASK_EVERY_S: Final = 1.0
_PING_TIMEOUT_S: Final = 2
#: Longer than whoever asks can take, the pool's time included.
_ASKING_S: Final = 15.0


class Gate:
    """Whether a server is away, as far as this process knows: then one at a time may find out. Thread-safe."""

    def __init__(self, server: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._lock = threading.Lock()
        #: While it is away: nobody else may ask until then.
        self._shut_until: float | None = None
        self._doubted = False

    def doubt(self) -> None:
        """Note that something went wrong: perhaps the server is away."""
        self._doubted = True

    def enter(self) -> bool:
        """Return whether to ask first if it is there. Raises psycopg.OperationalError: it is away."""
        with self._lock:
            if self._shut_until is not None:
                now = self._clock()
                if now < self._shut_until:
                    raise psycopg.OperationalError(f"PostgreSQL at {self._server} is away")
                self._shut_until = now + _ASKING_S
                return True
            return self._doubted

    def open(self) -> None:
        """Note that it is there."""
        with self._lock:
            was_shut, self._shut_until, self._doubted = self._shut_until is not None, None, False
        if was_shut:
            logger.warning("PostgreSQL at %s is back", self._server)

    def shut(self) -> None:
        """Note that it is away."""
        with self._lock:
            was_open, self._shut_until = self._shut_until is None, self._clock() + _ASK_EVERY_S
        if was_open:
            logger.warning("PostgreSQL at %s is away", self._server)


_gates: dict[str, Gate] = {}


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, with a gate of each server before its connections."""

    @property
    def _gate(self) -> Gate:
        server = f"{self.settings_dict['HOST']}:{self.settings_dict['PORT']}"
        return _gates.get(server) or _gates.setdefault(server, Gate(server))

    @property
    def errors_occurred(self) -> bool:
        """See Django: whether there was an error after which the connection may be of no use."""
        return self._errors_occurred

    @errors_occurred.setter
    def errors_occurred(self, value: bool) -> None:
        self._errors_occurred = value
        if value:
            self._gate.doubt()

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """See Django. Raises OperationalError at once where the server is known to be away."""
        gate = self._gate
        if gate.enter() and not self._answers():
            gate.shut()
            raise psycopg.OperationalError("PostgreSQL does not answer")
        try:
            connection = super().get_new_connection(conn_params)
        except psycopg.OperationalError:
            # Or all connections are in use, or it does not like our password.
            if self._answers():
                gate.open()
            else:
                gate.shut()
            raise
        gate.open()
        return connection

    def _answers(self) -> bool:
        """Return whether the server takes connections, without making one."""
        where = {"host": self.settings_dict["HOST"], "port": self.settings_dict["PORT"]}
        told = make_conninfo(connect_timeout=_PING_TIMEOUT_S, **{name: it for name, it in where.items() if it})
        return pq.PGconn.ping(told.encode()) == pq.Ping.OK
