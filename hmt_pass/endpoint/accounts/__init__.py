"""Who may call, and what an account may still do.

register (who signed, one booking a call) > allowance (rate, quota, balance) > usage (what was used, on disk).
`python -m hmt_pass.endpoint.accounts FILE` shows what each account has left.
"""

from hmt_pass.endpoint.accounts.account import Account
from hmt_pass.endpoint.accounts.register import Accounts

__all__ = ["Account", "Accounts"]
