"""What becomes of each message of the dead-letter queue in one pass over it."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Self

from hmt_pass import keys
from hmt_pass.status import State
from hmt_pass.store import Store
from worker.puts import Put

# Between being published and being in the index a dead letter is nobody's orphan.
SETTLED_AFTER_S = 60.0
_ENDED = {State.RECOGNIZED, State.REJECTED}
_OPEN = {State.QUEUED, State.RUNNING, State.RETRYING}


class Verdict(Enum):
    """Whether a message stays in the queue, goes, or is one that the index should know and does not."""

    STAYS = "stays"
    GOES = "goes"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Tidying:
    """One pass, asked about each message in turn. `index` and `gone` are as they were before it began."""

    index: Mapping[str, str]  # job id -> put id
    gone: frozenset[str]
    state: Callable[[str], object]
    now: float
    seen: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, store: Store) -> Self:
        """A pass over a queue that has not been looked at yet. Raises StoreError."""
        entries = store.hscan_iter(keys.DEAD_LETTERS, count=500)
        index = {str(job_id): str(json.loads(entry)["put_id"]) for job_id, entry in entries}
        gone = frozenset(map(str, store.smembers(keys.DEAD_LETTERS_GONE)))
        return cls(index, gone, lambda job_id: store.hget(keys.job(job_id), "state"), time.time())

    def judge(self, put: Put) -> Verdict:
        """The verdict on the next message of the queue. Raises StoreError."""
        verdict = self._judge(put)
        self.seen.add(put.put_id)
        return verdict

    @property
    def lost(self) -> set[str]:
        """The jobs whose dead letter is in the index and was not seen in the queue."""
        return {job_id for job_id, put_id in self.index.items() if put_id not in self.seen}

    def _judge(self, put: Put) -> Verdict:
        indexed = self.index.get(put.letter.job_id)
        if put.put_id in self.gone or (put.put_id and put.put_id in self.seen):
            return Verdict.GOES
        if indexed == put.put_id or self._is_fresh(put):
            return Verdict.STAYS
        if indexed is not None:
            return Verdict.GOES
        return self._judge_by_state(put)

    def _judge_by_state(self, put: Put) -> Verdict:
        state = self.state(put.letter.job_id)
        if state in _ENDED:
            return Verdict.GOES
        # A put that was cut short: the job was delivered again, and will be put again or come to another end.
        return Verdict.STAYS if put.put_id and state in _OPEN else Verdict.UNKNOWN

    def _is_fresh(self, put: Put) -> bool:
        return bool(put.put_id) and self.now - put.score < SETTLED_AFTER_S
