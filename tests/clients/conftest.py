"""The fixtures of the gateway's tests: a server in this process."""

from tests.gateway.conftest import limits, server, start_server

__all__ = ["limits", "server", "start_server"]
