"""The account-wide hold: a durable key that every worker polls. While it is there, nothing is called."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from hmt_pass import keys
from hmt_pass.store import Store
from worker.claims import now


@dataclass(frozen=True, slots=True)
class HoldInfo:
    """Why the account is on hold: the reason, the business code and job that proved it, who set it, since when."""

    reason: str
    by: str
    since: str
    code: str | None = None
    job_id: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The hold as JSON."""
        return asdict(self)


class Hold:
    """Opened by the first proof or by hand, released by hand. Raises StoreError when Redis does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self, reason: str, *, by: str, code: str | None = None, job_id: str | None = None) -> bool:
        """Stop the fleet; False when it was on hold already: the first reason stays."""
        info = HoldInfo(reason, by, now(), code, job_id)
        return bool(self._store.set(keys.HOLD, json.dumps(info.as_dict()), nx=True))

    def info(self) -> HoldInfo | None:
        """Why the account is on hold, or None when it is not."""
        text = self._store.get(keys.HOLD)
        return HoldInfo(**json.loads(text)) if text else None

    def is_on(self) -> bool:
        """Whether the account is on hold."""
        return bool(self._store.exists(keys.HOLD))

    def release(self) -> bool:
        """Let the fleet go on; False when it was not on hold. Jobs that failed before get their full time again."""
        with self._store.pipeline() as pipe:
            pipe.delete(keys.HOLD)
            pipe.set(keys.RELEASED_AT, now())
            return bool(pipe.execute()[0])

    def pause(self, delay_s: float) -> None:
        """Let no worker start a call for `delay_s`: the endpoint asked for fewer (1009)."""
        self._store.set(keys.PAUSE, "1", px=max(1, int(delay_s * 1000)), nx=True)
