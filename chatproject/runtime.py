"""Runs a process: a gateway pod, a router, a dispatcher, or all on one event loop, until it is told to stop."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable

import uvloop
from django.conf import settings

from chatproject import container, metrics, traces
from chatproject.celery import app
from messaging.dispatcher import Dispatcher
from messaging.gateway.pod import Pod
from messaging.router.router import Pace, Router
from messaging.threads import DatabaseThreads

logger = logging.getLogger(__name__)

GATEWAY, ROUTER, DISPATCHER = "gateway", "router", "dispatcher"
ALL_ROLES = frozenset({GATEWAY, ROUTER, DISPATCHER})

#: Threads give up the interpreter this often. With Python's 5 ms every return of the event loop to work
#: waits that long behind a database thread; see docs/performance.md.
_SWITCH_INTERVAL_S = 0.0005
#: Python looks for cycles after this many more objects. With its 700 that was a fifth of the processor time under
#: load, since thousands of frames are under way at once and none is in a cycle; see docs/performance.md.
_GC_THRESHOLD = 20_000
#: On Kafka a poll is a round of requests to it, to the stores, to Redis and to the pods, whether it brings one record
#: or twenty, and a commit is one more. On the embedded log a reader's commit travels with the writer's next, and what
#: comes while the router waits for that is as much as a poll should bring; see docs/performance.md.
_PACE = Pace(messages_s=0.04, hot_s=0.05, receipts_s=0.2, commits_s=0.5)
#: One file has one writer: each transaction of what is hot is one that the others may have to wait for.
_EMBEDDED_PACE = Pace(hot_s=0.1)

_pod: Pod | None = None
_router: Router | None = None
_threads: list[DatabaseThreads] = []
_dispatcher: Dispatcher | None = None
_starting: asyncio.Lock | None = None


def is_ready() -> bool:
    """Return whether this process takes connections: started, with a log that was reached, and not draining."""
    return _pod is not None and not _pod.draining and container.message_log().is_ready()


def pod_name() -> str:
    """Return the pod's name: CHAT_POD, or host name and process id."""
    return settings.ENV["CHAT_POD"] or f"{socket.gethostname()}-{os.getpid()}"


async def pod() -> Pod:
    """Return this process's pod, starting it, and on embedded engines router and dispatcher, at the first call.

    A server that was started without ``serve`` (``runserver``, another ASGI server) gets here with its first socket.
    """
    global _starting
    if _pod is None:
        if _starting is None:
            _starting = asyncio.Lock()
        async with _starting:
            if _pod is None:
                await start(ALL_ROLES if settings.EMBEDDED else frozenset({GATEWAY}))
    assert _pod is not None
    return _pod


def _database(name: str, *, size: int) -> DatabaseThreads:
    """Return threads that ``stop`` ends."""
    threads = DatabaseThreads(size=size, name=name)
    _threads.append(threads)
    return threads


async def start(roles: frozenset[str]) -> None:
    """Start what ``roles`` names on the running loop."""
    global _pod, _router, _dispatcher
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    if ROUTER in roles:
        # Not at the top: this module is there before models are.
        from messaging.hooks.selectors import listening

        _router = Router(
            log=container.message_log(),
            messages=container.message_store(),
            conversations=container.conversation_store(),
            registry=container.registry(),
            bus=container.pod_bus(),
            # Three loops, three threads: messages never queue behind receipts, nor behind those of hot conversations.
            database=_database("router", size=3),
            limits=container.limits(),
            pace=_PACE if settings.ENV["CHAT_LOG"] == "kafka" else _EMBEDDED_PACE,
            hot_rate=settings.ENV["CHAT_HOT_RATE"],
            hot_k=settings.ENV["CHAT_HOT_K"],
            previews=settings.LINK_PREVIEWS,
            listening=listening,
        )
        await _router.start()
    if DISPATCHER in roles:
        _dispatcher = Dispatcher(log=container.message_log(), app=app, routes=settings.JOB_ROUTES)
        await _dispatcher.start()
    if GATEWAY in roles:
        pod = Pod(
            name=pod_name(),
            limits=container.limits(),
            log=container.message_log(),
            registry=container.registry(),
            bus=container.pod_bus(),
            database=_database("gateway", size=settings.ENV["CHAT_DB_THREADS"]),
        )
        await pod.start()
        _pod = pod


async def stop() -> None:
    """Stop what runs here, flush and close the log, end the threads with their connections."""
    global _pod, _router, _dispatcher
    if _pod is not None:
        await _pod.stop()
    if _router is not None:
        await _router.stop()
    if _dispatcher is not None:
        await _dispatcher.stop()
    await container.message_log().close()
    while _threads:
        await asyncio.to_thread(_threads.pop().close)
    _pod = _router = _dispatcher = None


async def serve(*, host: str, port: int, roles: frozenset[str], on_ready: Callable[[], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return. A second signal skips the drain.

    Raises:
        OSError: the address is in use.
    """
    stopping = asyncio.Event()
    hurry = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stopping.is_set():
            hurry.set()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    end_metrics = metrics.listen(settings.ENV["CHAT_METRICS_PORT"])
    end_traces = traces.start(pod_name())
    await start(roles)
    # What is here now stays: no collection need look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    try:
        if GATEWAY in roles:
            await _serve_gateway(host, port, stopping, hurry, on_ready)
        else:
            if on_ready is not None:
                on_ready()
            await stopping.wait()
    finally:
        await stop()
        await asyncio.to_thread(end_traces)
        end_metrics()


async def _serve_gateway(
    host: str, port: int, stopping: asyncio.Event, hurry: asyncio.Event, on_ready: Callable[[], None] | None
) -> None:
    from chatproject.asgi import application
    from messaging.gateway.server import build_server

    # Bound here, so that a port in use is an exception and not an exit somewhere inside the server.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    server = build_server(application, host=host, port=port, limits=container.limits())
    loop = asyncio.get_running_loop()
    serving = loop.create_task(server.serve(sockets=[listener]))
    listening = loop.create_task(server.listening.wait())
    await asyncio.wait([listening, serving], return_when=asyncio.FIRST_COMPLETED)
    if on_ready is not None and not serving.done():
        on_ready()
    waiting = loop.create_task(stopping.wait())
    await asyncio.wait([waiting, serving], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    listening.cancel()
    if not serving.done() and _pod is not None:
        await server.stop_accepting()
        drain = loop.create_task(_pod.drain())
        hurried = loop.create_task(hurry.wait())
        await asyncio.wait([drain, hurried], return_when=asyncio.FIRST_COMPLETED)
        for task in (drain, hurried):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    server.should_exit = True
    await serving
    listener.close()


def run(*, host: str, port: int, roles: frozenset[str], on_ready: Callable[[], None] | None = None) -> None:
    """Run ``serve`` on a loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(host=host, port=port, roles=roles, on_ready=on_ready))
