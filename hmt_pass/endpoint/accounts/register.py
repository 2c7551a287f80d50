"""The accounts of an endpoint: who signed a call, and the booking that lets it in."""

import asyncio
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from hmt_pass import signing
from hmt_pass.codes import Code
from hmt_pass.endpoint.accounts import file
from hmt_pass.endpoint.accounts.account import Account
from hmt_pass.endpoint.accounts.allowance import Allowance
from hmt_pass.endpoint.accounts.usage import Usage, Used
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.parameters import Parameters

_TIMESTAMP = re.compile(r"\d{10}|\d{13}", re.ASCII)
_SECONDS_DIGITS = 10
_UNDONE = {Code.RATE_EXCEEDED, Code.SERVER_ERROR}  # inside a call: too much load, or a fault of our own

log = logging.getLogger(__name__)


class Booking:
    """One call that an account was let in for."""

    def __init__(self) -> None:
        self.charged = False

    def charge(self) -> None:
        """The call is answered 0000: it costs money."""
        self.charged = True


class Accounts:
    """The accounts of this endpoint. Used from one event loop only."""

    def __init__(self, *accounts: Account, usage: Usage | None = None, now_s: Callable[[], float] = time.time) -> None:
        """Without `usage` quotas and balances count down in memory alone. `now_s` is the Unix time."""
        used = usage.totals() if usage else {}
        self._accounts = {account.api_id: account for account in accounts}
        self._allowances = {
            account.api_id: Allowance(account, used.get(account.api_id, Used()), now_s) for account in accounts
        }
        self._usage, self._now_s = usage, now_s

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The account in HMT_PASS_API_ID and HMT_PASS_API_SECRET, without limits. Raises SettingsError."""
        return cls(file.from_environment(environment))

    @classmethod
    def from_file(cls, path: Path, usage: Path | None = None, now_s: Callable[[], float] = time.time) -> Self:
        """The accounts of a TOML file; what they use is kept in `usage`, by default beside it. Raises SettingsError."""
        accounts = file.load(path)
        return cls(*accounts, usage=Usage(usage or file.usage_beside(path)), now_s=now_s)

    def close(self) -> None:
        """Let go of the usage file."""
        if self._usage:
            self._usage.close()

    def authenticate(self, parameters: Parameters, window_s: float | None) -> Account:
        """The account that signed the call, at most `window_s` from our clock (None: at any time).

        Raises RefusedError 1002, 1007, 1000.
        """
        api_id, timestamp, sign = (parameters.require(name) for name in ("api_id", "timestamp", "sign"))
        if not _TIMESTAMP.fullmatch(timestamp):
            raise RefusedError(Code.BAD_REQUEST, "timestamp must be Unix time in milliseconds or seconds")
        account = self._accounts.get(api_id)
        # An unknown account takes as long as a known one: what a caller learns is in the code, where the API puts it.
        signed = signing.verify(api_id, account.api_secret if account else "", timestamp, sign)
        if account is None:
            raise RefusedError(Code.BAD_ACCOUNT)
        if not signed:
            raise RefusedError(Code.BAD_SIGNATURE)
        self._require_fresh(account, timestamp, window_s)
        return account

    def _require_fresh(self, account: Account, timestamp: str, window_s: float | None) -> None:
        signed_s = int(timestamp) / (1 if len(timestamp) == _SECONDS_DIGITS else 1000)
        ahead_s = signed_s - self._now_s()
        if window_s is not None and abs(ahead_s) > window_s:
            log.warning("account %s signed %+d s from this clock, %g s allowed", account.api_id, ahead_s, window_s)
            raise RefusedError(Code.BAD_SIGNATURE)

    @asynccontextmanager
    async def booking(self, account: Account) -> AsyncIterator[Booking]:
        """Let the account in for one call; at the end what it used is on disk, so before its answer leaves.

        Raises RefusedError: 1008, 1027, 1011, 1009, 1010, 9980 in this order, and 9999 for a call that could not be
        written down. A call that ends with 1009, 9999 or without an answer was not done, and uses nothing.
        """
        account.require_open(self._now_s())
        allowance = self._allowances[account.api_id]
        allowance.admit()
        booking, spent = Booking(), Used()
        try:
            yield booking
            spent = Used(calls=1, charges=int(booking.charged))
        except RefusedError as refusal:
            spent = Used(calls=int(refusal.code not in _UNDONE))
            raise
        finally:
            # Shielded: a call that is cut off now is still written down before others may have what it held.
            await asyncio.shield(self._settle(account, allowance, spent))

    async def _settle(self, account: Account, allowance: Allowance, spent: Used) -> None:
        written = Used()
        try:
            if self._usage and spent.calls:
                await self._usage.record(account.api_id, spent)
            written = spent
        finally:
            allowance.settle(written)
