"""Named redrives: exactly the dead letters of a plan, kept beside the index until each has been moved or called off.

A letter leaves its redrive in the step that moves it, so a run can be killed anywhere and taken up by another.
"""

import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from hmt_pass import keys
from hmt_pass.errors import HmtPassError
from hmt_pass.store import Store
from worker.claims import now
from worker.dead_letter_index import CHUNK, chunks
from worker.letters import LetterId, letter_ids

KEPT_FOR_S = 90 * 24 * 3600  # what is not moved by then is stale, and what was moved is history
RUN_LEASE_S = 5.0  # after which a run that was killed is forgotten
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

_KEEP = """
local draft, plan, facts, names = unpack(KEYS)
local name, kept_for_s = unpack(ARGV, 1, 2)
if redis.call('EXISTS', facts) == 1 then return 0 end
if redis.call('EXISTS', draft) == 1 then
    redis.call('RENAME', draft, plan)
    redis.call('EXPIRE', plan, kept_for_s)
end
redis.call('HSET', facts, unpack(ARGV, 3))
redis.call('EXPIRE', facts, kept_for_s)
local time = redis.call('TIME')
redis.call('ZADD', names, time[1] + time[2] / 1000000, name)
return 1
"""

_RENEW = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0"
_END = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class RedriveError(HmtPassError):
    """A redrive cannot be kept or found under this name."""

    reason = "redrive"


@dataclass(frozen=True, slots=True)
class Redrive:
    """How far a named redrive is. `wanted` is the filter of its plan, `skipped` counts the letters that were gone."""

    name: str
    by: str
    planned_at: str
    wanted: dict[str, Any]
    planned: int
    moved: int
    skipped: int
    left: int
    running: bool
    called_off_at: str | None

    def as_dict(self) -> dict[str, Any]:
        """The redrive as JSON."""
        return asdict(self)


class Redrives:
    """All named redrives, in the Redis of the index. Every method raises StoreError when it does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keep = store.register_script(_KEEP)
        self._renew = store.register_script(_RENEW)
        self._end = store.register_script(_END)

    def keep(self, name: str, letters: Iterable[LetterId], by: str, wanted: dict[str, Any]) -> None:
        """Keep a set under a name that no other redrive of the last 90 days has. Raises RedriveError."""
        if not _NAME.fullmatch(name):
            raise RedriveError("a redrive's name is 1 to 64 letters, digits and _ . -, the first a letter or digit")
        draft = keys.redrive(f":{secrets.token_hex(8)}")  # expires if it is not kept
        planned = 0
        for chunk in chunks(letters, CHUNK):
            with self._store.pipeline() as pipe:
                pipe.zadd(draft, dict(chunk))
                pipe.expire(draft, 3600)
                pipe.execute()
            planned += len(chunk)
        facts: list[str | int] = ["by", by, "planned_at", now(), "wanted", json.dumps(wanted), "planned", planned]
        names = [draft, keys.redrive(name), keys.redrive_facts(name), keys.REDRIVES]
        if not self._keep(keys=names, args=[name, KEPT_FOR_S, *facts]):
            raise RedriveError(f"a redrive is named {name} already; choose another name")

    def find(self, name: str) -> Redrive:
        """The redrive of that name. Raises RedriveError when there is none."""
        with self._store.pipeline() as pipe:
            pipe.hgetall(keys.redrive_facts(name))
            pipe.zcard(keys.redrive(name))
            facts, left = pipe.execute()
        if not facts:
            raise RedriveError(f"no redrive is named {name}; `dead-letters redrives` lists them")
        return Redrive(
            name=name,
            by=facts["by"],
            planned_at=facts["planned_at"],
            wanted=json.loads(facts["wanted"]),
            planned=int(facts["planned"]),
            moved=int(facts.get("moved", 0)),
            skipped=int(facts.get("skipped", 0)),
            left=left,
            running=self._running() == name,
            called_off_at=facts.get("called_off_at"),
        )

    def all(self) -> list[Redrive]:
        """Those of the last 90 days, oldest first."""
        seconds, microseconds = self._store.time()
        self._store.zremrangebyscore(keys.REDRIVES, "-inf", seconds + microseconds / 1e6 - KEPT_FOR_S)
        return [self.find(str(name)) for name in self._store.zrange(keys.REDRIVES, 0, -1)]

    def next(self, name: str, count: int) -> list[LetterId]:
        """At most `count` letters that are still to be moved, oldest first; none once the redrive is called off."""
        with self._store.pipeline() as pipe:
            pipe.hexists(keys.redrive_facts(name), "called_off_at")
            pipe.zrange(keys.redrive(name), 0, count - 1, withscores=True)
            is_called_off, pairs = pipe.execute()
        return [] if is_called_off else letter_ids(pairs)

    def skip(self, name: str, letters: Iterable[LetterId]) -> None:
        """Take letters out of a redrive that are not there to be moved."""
        job_ids = [letter.job_id for letter in letters]
        if job_ids:
            with self._store.pipeline() as pipe:
                pipe.zrem(keys.redrive(name), *job_ids)
                pipe.hincrby(keys.redrive_facts(name), "skipped", len(job_ids))
                pipe.execute()

    def call_off(self, name: str) -> None:
        """Have a run under way end, and none begin again. Raises RedriveError when there is no such redrive."""
        self.find(name)
        self._store.hsetnx(keys.redrive_facts(name), "called_off_at", now())

    def left(self, name: str) -> list[LetterId]:
        """All letters that were not moved, oldest first."""
        pairs: Any = self._store.zrange(keys.redrive(name), 0, -1, withscores=True)
        return letter_ids(pairs)

    def forget_left(self, name: str) -> None:
        """Have nothing left of a redrive."""
        self._store.delete(keys.redrive(name))

    def begin(self, name: str) -> str | None:
        """Begin a run, one at a time in the fleet; returns its token, None while another runs."""
        token = f"{name} {secrets.token_hex(8)}"
        taken = self._store.set(keys.REDRIVE_RUNS, token, nx=True, px=int(RUN_LEASE_S * 1000))
        return token if taken else None

    def renew(self, token: str) -> None:
        """Have a run last RUN_LEASE_S from now on."""
        self._renew(keys=[keys.REDRIVE_RUNS], args=[token, int(RUN_LEASE_S * 1000)])

    def end(self, token: str) -> None:
        """Let another run begin."""
        self._end(keys=[keys.REDRIVE_RUNS], args=[token])

    def _running(self) -> str | None:
        token = self._store.get(keys.REDRIVE_RUNS)
        return str(token).split()[0] if token else None
