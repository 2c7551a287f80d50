"""Who may call: for now the one account of the environment, the same two names that the client uses."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The account in HMT_PASS_API_ID and HMT_PASS_API_SECRET. Raises SettingsError when one is missing."""
        names = ("HMT_PASS_API_ID", "HMT_PASS_API_SECRET")
        missing = [name for name in names if not environment.get(name)]
        if missing:
            raise SettingsError(f"set {' and '.join(missing)}: the account that callers sign with")
        return cls(*(environment[name] for name in names))

    def authenticate(self, parameters: Parameters) -> None:
        """Return when the call is signed by this account.

        The timestamp may be in seconds or milliseconds. The API text names no window in which it is accepted, so none
        is enforced (an assumption). Raises RefusedError 1002, 1007 for an unknown account, 1000 for a wrong signature.
        """
        api_id, timestamp, sign = (parameters.require(name) for name in ("api_id", "timestamp", "sign"))
        if not _TIMESTAMP.fullmatch(timestamp):
            raise RefusedError(Code.BAD_REQUEST, "timestamp must be Unix time in milliseconds or seconds")
        if api_id != self.api_id:
            raise RefusedError(Code.BAD_ACCOUNT)
        if not signing.verify(self.api_id, self.api_secret, timestamp, sign):
            raise RefusedError(Code.BAD_SIGNATURE)
