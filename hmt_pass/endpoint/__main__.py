"""`python -m hmt_pass.endpoint --port N`: serve until SIGTERM or Ctrl-C; `--help` lists the switches.

Prints `endpoint ready http://HOST:PORT` once it can answer; port 0 picks a free one. Exit code 2 when the accounts or
the models are missing, or it cannot listen there.
"""

import argparse
import logging
import math
import os
import signal
import sys
from pathlib import Path

from hmt_pass.codes import Code
from hmt_pass.endpoint.accounts import Accounts
from hmt_pass.endpoint.admission import Admission
from hmt_pass.endpoint.call import Caller
from hmt_pass.endpoint.conventions import Conventions, HttpStatus, NoPermit, Shape
from hmt_pass.endpoint.download import Downloads
from hmt_pass.endpoint.engine.reader import Reader
from hmt_pass.endpoint.faults import Faults
from hmt_pass.endpoint.images import LIFETIME_S, MAX_BYTES, ImageStore
from hmt_pass.endpoint.server import Server
from hmt_pass.endpoint.specimen.inventor import Inventor
from hmt_pass.errors import SettingsError

_OVERLOAD_CODES = [Code.RATE_EXCEEDED.value, Code.SERVER_ERROR.value]
_MIB = 1024 * 1024
_MAX_PORT = 65535
_WAITING_PER_CORE = 8  # some 5 s of work: longer than that a caller had better go away and come again


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hmt_pass.endpoint", description="The self-hosted OCR endpoint.")
    add = parser.add_argument
    add("--port", type=_port, required=True, help="0 picks a free one")
    add("--host", default="127.0.0.1")
    add("--accounts", type=Path, help="TOML file; without it one account, HMT_PASS_API_ID and HMT_PASS_API_SECRET")
    add("--usage", type=Path, help="where used quota and balance are kept; default: beside the accounts file")
    add("--private-urls", action="store_true", help="let `url` name private and loopback addresses")
    add("--image-lifetime-s", type=_seconds, default=LIFETIME_S, help="how long an image_id is good for")
    add("--image-store-mib", type=_count, default=MAX_BYTES // _MIB, help="memory for images under an image_id")
    waiting = _WAITING_PER_CORE * (os.cpu_count() or 1)
    add(
        "--max-waiting",
        type=_count,
        default=waiting,
        help="calls that may wait for the engine; more are told at once",
    )
    add("--faults", action="store_true", help="serve /_faults, the switch for rehearsals and tests")
    add("--invent", action="store_true", help="read nothing: answer an invented permit at once, to test what calls it")
    _add_conventions(parser.add_argument_group("what the API text leaves open (docs/endpoint.md)"))
    return parser


def _add_conventions(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--shape", type=Shape, choices=list(Shape), default=Shape.FLAT, help="where the fields lie")
    add("--http-status", type=HttpStatus, choices=list(HttpStatus), default=HttpStatus.ALWAYS_200, help="of failures")
    add("--no-permit", type=NoPermit, choices=list(NoPermit), default=NoPermit.REFUSED, help="answer to such a picture")
    add("--strict-face", action="store_true", help="answer 1004 when the card has no portrait")
    add("--timestamp-window-s", type=_seconds, help="refuse signatures older or newer than that with 1000")
    add("--overload-code", choices=_OVERLOAD_CODES, default=_OVERLOAD_CODES[0], help="answer when too many calls wait")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {_MAX_PORT}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _parsed(argv: list[str] | None) -> argparse.Namespace:
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.usage and not arguments.accounts:
        parser.error("--usage needs --accounts: the account in HMT_PASS_API_ID has no limits to count against")
    return arguments


def _conventions(arguments: argparse.Namespace) -> Conventions:
    return Conventions(
        shape=arguments.shape,
        http_status=arguments.http_status,
        no_permit=arguments.no_permit,
        strict_face=arguments.strict_face,
        timestamp_window_s=arguments.timestamp_window_s,
        overload=Code.find(arguments.overload_code) or Code.RATE_EXCEEDED,
    )


def _caller(arguments: argparse.Namespace, conventions: Conventions) -> Caller:
    """Everything that a call needs. Raises SettingsError."""
    accounts = (
        Accounts.from_file(arguments.accounts, arguments.usage) if arguments.accounts else Accounts.from_environment()
    )
    return Caller(
        accounts,
        Admission(Inventor() if arguments.invent else Reader.load(), arguments.max_waiting, conventions.overload),
        ImageStore(arguments.image_store_mib * _MIB, arguments.image_lifetime_s),
        Downloads(private_addresses=arguments.private_urls),
        conventions,
    )


def main(argv: list[str] | None = None) -> int:
    """Serve until a signal; the exit code."""
    arguments = _parsed(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    conventions = _conventions(arguments)
    try:
        faults = Faults() if arguments.faults else None
        server = Server(_caller(arguments, conventions), conventions, arguments.host, arguments.port, faults)
    except SettingsError as error:
        print(f"endpoint: {error}", file=sys.stderr)  # noqa: T201  for whoever started it
        return 2
    # uvicorn ends by raising its signal again: a stop that was asked for is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
