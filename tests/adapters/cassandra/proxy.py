"""A way to a server that can be cut and blocked, so that a shared server need not be harmed."""

import contextlib
import socket
import threading


class Proxy:
    """Passes TCP connections on to ``target``. Its port stays the same over ``cut`` and ``open``."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._flowing = threading.Event()
        self._flowing.set()
        self._sockets: list[socket.socket] = []
        self._listener: socket.socket | None = None
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]

    def open(self) -> None:
        """Listen, as a server that has started."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Close everything, as a server that was killed."""
        self._flowing.set()
        if self._listener is not None:
            # The thread that waits in accept() would hold the port otherwise.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._sockets.clear()

    def block(self) -> None:
        """Let nothing through, as a server that hangs: connections stay open."""
        self._flowing.clear()

    def unblock(self) -> None:
        """Let through what waited, and what comes."""
        self._flowing.set()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                ours, _ = listener.accept()
                theirs = socket.create_connection(self._target)
            except OSError:
                return
            self._sockets += [ours, theirs]
            for source, sink in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                self._flowing.wait()
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
