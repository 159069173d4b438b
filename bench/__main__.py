"""``python -m bench SCENARIO``: start an installation, put load on it, and report."""

import argparse
import signal
import sys
from pathlib import Path
from typing import Final

import msgspec

from bench import away, page, push
from bench.generator import GeneratorFailed
from bench.machine import raise_file_limit
from bench.report import table
from bench.scenarios import SCENARIOS, execute
from bench.stack import STACKS, StackFailed

#: Files of a process besides its sockets.
_OTHER_FILES: Final = 500
_UNCLEAN, _FAILED = 1, 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Ends with 1 when a message was lost, doubled or out of order, with 2 when it could not measure.",
    )
    scenarios = parser.add_subparsers(dest="scenario", required=True)
    for name, scenario in SCENARIOS.items():
        options = scenarios.add_parser(name, help=scenario.help, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        for argument, default, text in scenario.arguments:
            kind = float if default is None else type(default)
            options.add_argument(f"--{argument.replace('_', '-')}", type=kind, default=default, help=text)
        options.add_argument("--stack", choices=STACKS, default="embedded", help="which installation to start")
        options.add_argument("--json", type=Path, help="write the report there, too")
        options.add_argument("--generators", type=int, default=1, help="processes of clients")
        options.add_argument("--at-once", type=int, default=200, help="sockets that are opened at a time")
        options.add_argument("--body-bytes", type=int, default=64, help="length of a message's body")
        options.add_argument(
            "--receipts", action=argparse.BooleanOptionalAction, default=True, help="answer each message by delivered"
        )
        options.add_argument(
            "--profile",
            type=Path,
            help="leave a cProfile of the event loop there; on full, of each process: FILE.gateway-1 …",
        )
    push.add_arguments(
        scenarios.add_parser(
            "push",
            help="pushes by one worker process, to a server that speaks Apple's protocol",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
    )
    away.add_arguments(
        scenarios.add_parser(
            "away",
            help="from a message to the push service, for people who are away",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
    )
    page.add_arguments(
        scenarios.add_parser(
            "page",
            help="the page in a headless Chromium: starts, switches, sending, scrolling through a long conversation",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
    )
    return parser


def main() -> int:
    """Run what the command line says; return the exit code."""
    args = _parser().parse_args()
    if args.scenario == "push":
        return push.run(args)
    if args.scenario == "away":
        return away.run(args)
    if args.scenario == "page":
        return page.run(args)
    if "warmup" in args and args.warmup is None:
        args.warmup = STACKS[args.stack].warmup_s
    # An end from outside still stops what was started here.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_FAILED))
    try:
        raise_file_limit(_sockets(args) + _OTHER_FILES)
        report = execute(args.scenario, args, STACKS[args.stack](profile=args.profile))
    except (StackFailed, GeneratorFailed, OSError) as error:
        print(error, file=sys.stderr)
        return _FAILED
    print(table(report))
    if args.json is not None:
        args.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return 0 if report.is_clean else _UNCLEAN


def _sockets(args: argparse.Namespace) -> int:
    return SCENARIOS[args.scenario].layout(args).accounts


if __name__ == "__main__":
    sys.exit(main())
