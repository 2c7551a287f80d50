"""`python -m local demo` shows the whole system at work, `up` keeps it running, `rehearse` plays an outage through.

Exit code 0: everything came out as it should, or `up` was asked to stop. 1: it did not, or a process failed to start.
130: it was interrupted. Whatever the end, every process that was started is stopped in order.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from hmt_pass.errors import HmtPassError
from local import demo, rehearse, up
from local.process import ProcessError, clean_environment
from local.stack import FolderInUseError

COMMANDS: Mapping[str, Callable[..., int]] = {"demo": demo.run, "up": up.run, "rehearse": rehearse.run}
INTERRUPTED = 130
FEWEST_JOBS = 500  # with fewer the queue may be empty before the account runs dry
SHORTEST_S = 12  # with less the first canary may come after it


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = vars(_parser().parse_args(argv))
    command = options.pop("command")
    # A shell starts a background job with SIGINT ignored; SIGTERM and a closed terminal shall end us like Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return COMMANDS[command](options.pop("folder").resolve(), **options)
    except KeyboardInterrupt:
        return 0 if command == "up" else INTERRUPTED
    except (HmtPassError, ProcessError, FolderInUseError) as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    usual = argparse.ArgumentParser(add_help=False)
    usual.add_argument("--folder", type=Path, default=Path(".local"), help="state and logs (default: .local)")
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", parents=[usual], help="a dozen drawn permits, read and checked")
    commands.add_parser("up", parents=[usual], help="the whole system until Ctrl-C")
    add = commands.add_parser("rehearse", parents=[usual], help="an outage, played through and audited").add_argument
    add("--jobs", type=_jobs, default=rehearse.JOBS, help="how many wait in the queue (default: %(default)s)")
    add("--outage-s", type=_seconds, default=rehearse.OUTAGE_S, help="how long it lasts (default: %(default)g)")
    add("--on-rabbitmq", action="store_true", help="messages in RabbitMQ instead of Redis; it must be installed")
    return parser


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < FEWEST_JOBS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {FEWEST_JOBS} on")
    return int(text)


def _seconds(text: str) -> float:
    if not text.isdecimal() or int(text) < SHORTEST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds from {SHORTEST_S} on")
    return float(text)


if __name__ == "__main__":
    # This process, too, must find nothing that leads to a real account.
    for foreign in set(os.environ) - set(clean_environment()):
        del os.environ[foreign]
    sys.exit(main())
