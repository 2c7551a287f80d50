"""`python -m hmt_pass.endpoint.accounts FILE`: what each account has used, and what its next call would meet.

May run beside the endpoint; prints no secret. Exit code 2 when a file cannot be read.
"""

import argparse
import sys
import time
from pathlib import Path

from hmt_pass.endpoint.accounts import file, usage
from hmt_pass.endpoint.accounts.account import Account
from hmt_pass.endpoint.accounts.allowance import Allowance
from hmt_pass.endpoint.accounts.usage import Used
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.errors import SettingsError

_HEADER = ("account", "expires", "calls", "quota", "charged", "balance", "rate/s", "state")


def main(argv: list[str] | None = None) -> int:
    """Print a line for each account; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hmt_pass.endpoint.accounts", description=__doc__)
    parser.add_argument("accounts", type=Path, help="the accounts file")
    parser.add_argument("--usage", type=Path, help="what was given to the endpoint; default: beside the accounts file")
    arguments = parser.parse_args(argv)
    try:
        accounts = file.load(arguments.accounts)
        used = usage.read(arguments.usage or file.usage_beside(arguments.accounts))
    except SettingsError as error:
        sys.stderr.write(f"accounts: {error}\n")
        return 2
    rows = [_HEADER, *(_row(account, used.get(account.api_id, Used())) for account in accounts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        sys.stdout.write(f"{line.rstrip()}\n")
    return 0


def _row(account: Account, used: Used) -> tuple[str, ...]:
    granted = [account.expires, used.calls, account.quota, used.charges, account.balance, account.rate_per_s]
    return account.api_id, *("-" if value is None else str(value) for value in granted), _state(account, used)


def _state(account: Account, used: Used) -> str:
    try:
        account.require_open(time.time())
        Allowance(account, used, time.time).require_left()
    except RefusedError as refusal:
        return f"{refusal.code.value} {refusal.code.meaning}"
    return "open"


if __name__ == "__main__":
    sys.exit(main())
