"""What an account may still do, with the calls under way already taken off."""

from collections.abc import Callable

from hmt_pass.codes import Code
from hmt_pass.endpoint.accounts.account import Account
from hmt_pass.endpoint.accounts.rate import Rate
from hmt_pass.endpoint.accounts.usage import Used
from hmt_pass.endpoint.answers import RefusedError


class Allowance:
    """An account's rate, quota and balance. Used from the event loop only, so no lock guards it.

    A call under way counts as if it will be charged: of many calls at once on the last paid answer, one is let in.
    """

    def __init__(self, account: Account, used: Used, now_s: Callable[[], float]) -> None:
        self._account, self._used, self._under_way = account, used, 0
        self._rate = Rate(account.rate_per_s, now_s) if account.rate_per_s is not None else None

    def admit(self) -> None:
        """Let one call in, to be settled when it ends. Raises RefusedError 1009, 1010, 9980."""
        if self._rate and not self._rate.take():
            raise RefusedError(Code.RATE_EXCEEDED)
        self.require_left()
        self._under_way += 1

    def settle(self, spent: Used) -> None:
        """A call that was let in has ended and used this much."""
        self._used = self._used.plus(spent)
        self._under_way -= 1

    def require_left(self) -> None:
        """Return when quota and balance have room for one call more. Raises RefusedError 1010, 9980."""
        if _is_used_up(self._account.quota, self._used.calls + self._under_way):
            raise RefusedError(Code.QUOTA_EXCEEDED)
        if _is_used_up(self._account.balance, self._used.charges + self._under_way):
            raise RefusedError(Code.NO_BALANCE)


def _is_used_up(granted: int | None, used: int) -> bool:
    return granted is not None and used >= granted
