"""`python -m hmt_pass.endpoint --port N [--host 127.0.0.1] [--faults]`: serve until SIGTERM or Ctrl-C.

Prints `endpoint ready http://HOST:PORT` once it can answer; port 0 picks a free one. Exit code 2 when the account or
the models are missing.
"""

import argparse
import logging
import signal
import sys

from hmt_pass.endpoint.accounts import Account
from hmt_pass.endpoint.call import Caller
from hmt_pass.endpoint.engine.reader import Reader
from hmt_pass.endpoint.faults import Faults
from hmt_pass.endpoint.images import ImageStore
from hmt_pass.endpoint.server import Server
from hmt_pass.errors import SettingsError


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hmt_pass.endpoint", description="The self-hosted OCR endpoint.")
    parser.add_argument("--port", type=int, required=True, help="0 picks a free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--faults", action="store_true", help="serve /_faults, the switch for rehearsals and tests")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Serve until a signal; the exit code."""
    arguments = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        caller = Caller(Account.from_environment(), Reader.load(), ImageStore())
    except SettingsError as error:
        print(f"endpoint: {error}", file=sys.stderr)  # noqa: T201  for whoever started it
        return 2
    # uvicorn ends by raising its signal again: a stop that was asked for is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    Server(caller, arguments.host, arguments.port, Faults() if arguments.faults else None).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
