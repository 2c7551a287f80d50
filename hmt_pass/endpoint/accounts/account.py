"""An account of the API and what it was granted."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError

RIGHT = "hmt_pass"
"""The right to call this API."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the API. Its secret is in no repr."""

    api_id: str
    api_secret: str = field(repr=False)
    expires: date | None = None
    """Its last day, in UTC, or as a datetime with an offset the moment it ends; None for never."""
    rights: frozenset[str] = frozenset({RIGHT})
    quota: int | None = None
    """Calls that it was granted, whatever they are answered; None for any number."""
    balance: int | None = None
    """Answers 0000 that it was granted; None for any number."""
    rate_per_s: float | None = None
    """Calls a second; None for any number."""
    restricted: bool = False

    def require_open(self, now_s: float) -> None:
        """Return when the account may call at all at `now_s` (Unix time). Raises RefusedError 1008, 1027, 1011."""
        if self.expires and _is_over(self.expires, datetime.fromtimestamp(now_s, UTC)):
            raise RefusedError(Code.ACCOUNT_EXPIRED, f"the account was valid until {self.expires.isoformat()}")
        if self.restricted:
            raise RefusedError(Code.RESTRICTED)
        if RIGHT not in self.rights:
            raise RefusedError(Code.NO_PERMISSION)


def _is_over(expires: date, now: datetime) -> bool:
    return now >= expires if isinstance(expires, datetime) else now.date() > expires
