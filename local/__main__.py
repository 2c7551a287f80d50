"""`python -m local demo` shows the whole system at work and checks it; `python -m local up` keeps it running.

Exit code 0: everything came out as it should, or `up` was asked to stop. 1: it did not, or a process failed to start.
130: the demo was interrupted. Whatever the end, every process that was started is stopped in order.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

from hmt_pass.errors import HmtPassError
from local import demo, up
from local.process import ProcessError, clean_environment
from local.stack import FolderInUseError

COMMANDS = {"demo": demo.run, "up": up.run}
INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--folder", type=Path, default=Path(".local"), help="state and logs (default: .local)")
    arguments = parser.parse_args(argv)
    # A shell starts a background job with SIGINT ignored; SIGTERM and a closed terminal shall end us like Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return COMMANDS[arguments.command](arguments.folder.resolve())
    except KeyboardInterrupt:
        return 0 if arguments.command == "up" else INTERRUPTED
    except (HmtPassError, ProcessError, FolderInUseError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    # This process, too, must find nothing that leads to a real account.
    for foreign in set(os.environ) - set(clean_environment()):
        del os.environ[foreign]
    sys.exit(main())
