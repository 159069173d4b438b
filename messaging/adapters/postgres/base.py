"""PostgreSQL as Django speaks to it, but quick to say that it is away (docs/decisions/0093).

A connection of the pool is waited for up to five seconds, since all may be in use. Where there is no server, that is
five seconds of a thread each time, and the few threads for the database also have what asks Cassandra to do.
"""

from typing import Any, Final

import psycopg
from django.db.backends.postgresql import base
from psycopg import pq
from psycopg.conninfo import make_conninfo

from messaging.adapters.outage import Outage

#: While it is away, somebody asks this often whether it is back.
_ASK_EVERY_S: Final = 1.0
_PING_TIMEOUT_S: Final = 2
#: Longer than whoever asks can take, the pool's time included.
_ASKING_S: Final = 15.0


class _Server:
    """What this process knows of a server. ``doubted``: something went wrong since a connection was made."""

    def __init__(self) -> None:
        self.outage = Outage("postgresql", retry_s=_ASK_EVERY_S, try_s=_ASKING_S)
        self.doubted = False


_servers: dict[str, _Server] = {}


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, which does not wait for a connection where there is no server."""

    @property
    def _server(self) -> _Server:
        address = f"{self.settings_dict['HOST']}:{self.settings_dict['PORT']}"
        return _servers.get(address) or _servers.setdefault(address, _Server())

    @property
    def errors_occurred(self) -> bool:
        """See Django: whether there was an error after which the connection may be of no use."""
        return self._errors_occurred

    @errors_occurred.setter
    def errors_occurred(self, value: bool) -> None:
        self._errors_occurred = value
        if value:
            self._server.doubted = True

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """See Django. Raises OperationalError at once where the server is known to be away."""
        server = self._server
        if server.outage.refuses():
            raise psycopg.OperationalError("PostgreSQL is away")
        if server.doubted and not self._answers():
            silence = psycopg.OperationalError("PostgreSQL does not answer")
            server.outage.failed(silence)
            raise silence
        try:
            connection = super().get_new_connection(conn_params)
        except psycopg.OperationalError as error:
            # Or all connections are in use, or it does not like our password.
            if self._answers():
                server.outage.succeeded()
            else:
                server.outage.failed(error)
            raise
        server.doubted = False
        server.outage.succeeded()
        return connection

    def _answers(self) -> bool:
        """Return whether the server takes connections, without making one."""
        where = {"host": self.settings_dict["HOST"], "port": self.settings_dict["PORT"]}
        told = make_conninfo(connect_timeout=_PING_TIMEOUT_S, **{name: it for name, it in where.items() if it})
        return pq.PGconn.ping(told.encode()) == pq.Ping.OK
