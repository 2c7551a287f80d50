"""The claims that this process holds, renewed together by worker.heartbeat: they end soon after the process does.

A job that makes no progress for longer than all its time limits together is overdue: its claim is renewed no more.

With each renewal the process shows a sign of life under the name that its tokens begin with. The sign is over before
any claim that was last renewed with it: a job left `running` without either had its process die. So a process with an
overdue job shows none; that job would hang one worker after another.
"""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hmt_pass import keys
from hmt_pass.store import Store
from worker import scripts


@dataclass(slots=True)
class _Held:
    job_id: str
    since: float
    names: list[str] = field(default_factory=list)


class Leases:
    """Thread-safe. `renew` raises StoreError when Redis does not answer, nothing else does."""

    def __init__(
        self, store: Store, lease_s: float, deadline_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.process = secrets.token_hex(8)
        self.lease_ms = int(lease_s * 1000)
        self._grace_s = lease_s / 2
        self._deadline_s = deadline_s
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._to_release: dict[str, _Held] = {}
        self._store = store
        self._renew = store.register_script(scripts.RENEW)
        self._beat = store.register_script(scripts.BEAT)
        self._release = store.register_script(scripts.RELEASE)

    def hold(self, token: str, job_id: str, *names: str) -> None:
        """Renew these keys from now on, together with those that the token holds already."""
        with self._lock:
            self._held.setdefault(token, _Held(job_id, self._clock())).names.extend(names)

    def progressed(self, token: str) -> None:
        """The job waits for something that is expected to take long; its deadline starts anew."""
        with self._lock:
            if token in self._held:
                self._held[token].since = self._clock()

    def drop(self, token: str) -> None:
        """The job has its end, and its keys went with it."""
        with self._lock:
            self._held.pop(token, None)

    def release(self, token: str) -> None:
        """Give up all keys of the token and let the job wait again. `renew` says again what Redis does not hear now."""
        with self._lock:
            held = self._held.pop(token, None)
            if held is None:
                return
            self._to_release[token] = held
        self._say(token, held)

    def renew(self) -> None:
        """Release again what Redis did not hear of, and renew what is held and not overdue.

        What lapsed while Redis was away is held again, unless another worker has claimed the job since.
        """
        oldest = self._clock() - self._deadline_s
        with self._lock:
            unsaid = dict(self._to_release)
            live = {
                token: [keys.job(held.job_id), *held.names] for token, held in self._held.items() if held.since > oldest
            }
            overdue = len(self._held) - len(live)
        for token, held in unsaid.items():
            self._say(token, held)
        for token, names in live.items():
            self._renew(keys=names, args=[token, self.lease_ms, keys.SUSPECT])
        if not overdue:
            self._store.set(keys.sign_of_life(self.process), 1, px=self.lease_ms * 3 // 4)
        self._beat(keys=[keys.CLAIMS_STEADY], args=[self._grace_s])

    def overdue(self, slack_s: float = 0.0) -> list[str]:
        """The ids of the jobs that have made no progress for the deadline and `slack_s` more."""
        oldest = self._clock() - self._deadline_s - slack_s
        with self._lock:
            return [held.job_id for held in self._held.values() if held.since <= oldest]

    def count(self) -> int:
        """How many jobs are held."""
        with self._lock:
            return len(self._held)

    def _say(self, token: str, held: _Held) -> None:
        self._release(keys=[keys.job(held.job_id), *held.names], args=[token])
        with self._lock:
            self._to_release.pop(token, None)
