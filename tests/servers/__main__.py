"""``python -m tests.servers start|stop|status|env [NAME …]``: the servers of development, which outlive this command.

What is for a person goes to stderr; stdout holds only ``export`` lines, to be eval'ed.
"""

import argparse
import queue
import shlex
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.servers.base import CannotStart, Service
from tests.servers.catalogue import SERVICES, USUAL, named


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _start(services: Sequence[Service]) -> bool:
    done: queue.Queue[tuple[Service, str, float]] = queue.Queue()
    began = time.monotonic()

    def start(service: Service) -> None:
        problem = ""
        try:
            service.start()
        except CannotStart as error:
            problem = str(error)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        done.put((service, problem, time.monotonic() - began))

    # Daemons: Ctrl-C does not wait for them. The next start deals with what it finds half started.
    for service in services:
        threading.Thread(target=start, args=(service,), daemon=True).start()
    started = []
    for _ in services:
        service, problem, took_s = done.get()
        if problem:
            _say(f"{service.name}: could not be started. {problem}")
        else:
            started.append(service)
            _say(f"{service.name}: {', '.join(service.addresses())}, after {took_s:.1f} s, in {service.directory}")
    _print_environment(started)
    return len(started) == len(services)


def _stop(services: Sequence[Service]) -> bool:
    with ThreadPoolExecutor(len(services)) as threads:
        for stopped in [threads.submit(service.stop) for service in services]:
            stopped.result()
    _say(f"{', '.join(service.name for service in services)}: stopped")
    return True


def _status(services: Sequence[Service]) -> bool:
    healthy = [service for service in services if service.healthy()]
    for service in services:
        _say(f"{service.name}: {', '.join(service.addresses()) if service in healthy else 'not running'}")
    return healthy == list(services)


def _env(services: Sequence[Service]) -> bool:
    healthy = [service for service in services if service.healthy()]
    for service in services:
        if service not in healthy:
            _say(f"{service.name}: not running")
    _print_environment(healthy)
    return healthy == list(services)


def _print_environment(services: Sequence[Service]) -> None:
    variables: dict[str, str] = {}
    for service in services:
        variables |= service.environment()
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return its exit code: 1 where a service could not be started or does not run."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description="Servers for development and tests.")
    actions = {"start": _start, "stop": _stop, "status": _status, "env": _env}
    parser.add_argument("action", choices=actions)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SERVICES)}; default: the first four")
    parser.add_argument("--directory", type=Path, default=Path("var/services"), help="data, logs and ports of them all")
    given = parser.parse_args(arguments)
    for name in given.names:
        if name not in SERVICES:
            parser.error(f"unknown service {name}; known: {', '.join(SERVICES)}")
    names = list(given.names or USUAL)
    if not given.names and given.action != "start":
        # A cluster counts where somebody started one.
        names += [name for name in SERVICES if name not in names and (given.directory / name).is_dir()]
    try:
        return 0 if actions[given.action]([named(name, given.directory) for name in names]) else 1
    except KeyboardInterrupt:
        _say("interrupted; `stop` ends what was started")
        return 130


if __name__ == "__main__":
    sys.exit(main())
