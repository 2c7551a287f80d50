"""The dead-letter queue: one message a job on `hmt_pass.dead_letter`, and an index that finds it by job id.

Both are written in one script, so they cannot disagree, and reading the index moves nothing. A message is the original
task message with the record as the extra header `hmt_pass_dead_letter`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from hmt_pass import codes, keys
from hmt_pass.job import DEAD_LETTER_QUEUE
from hmt_pass.store import Store
from worker.envelope import TaskMessage

CHUNK = 500  # dead letters a round trip: about 2 MB
HEADER = "hmt_pass_dead_letter"

_PUT = """
local index, by_time, queue = unpack(KEYS)
local job_id, entry, envelope, score = unpack(ARGV)
local old = redis.call('HGET', index, job_id)
if old then redis.call('LREM', queue, -1, cjson.decode(old).envelope) end
redis.call('HSET', index, job_id, entry)
redis.call('ZADD', by_time, score, job_id)
redis.call('LPUSH', queue, envelope)
"""

_TAKE = """
local index, by_time, queue, target = unpack(KEYS)
local job_id, envelope = unpack(ARGV)
local old = redis.call('HGET', index, job_id)
if not old then return 0 end
redis.call('LREM', queue, -1, cjson.decode(old).envelope)
redis.call('HDEL', index, job_id)
redis.call('ZREM', by_time, job_id)
if envelope ~= '' then redis.call('LPUSH', target, envelope) end
return 1
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a job died, without any field of a permit. Times are ISO 8601 in UTC.

    `detail` says more than `reason`. `code` and `msg` are the endpoint's last words, None when it never answered;
    `attempts` are the records of every call; `redriven` counts how often the job was moved back before.
    """

    job_id: str
    reason: str
    dead_at: str
    detail: str = ""
    image: str | None = None
    hmt_flag: int | None = None
    code: str | None = None
    msg: str | None = None
    request_id: str | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)
    first_failure_at: str | None = None
    last_failure_at: str | None = None
    redriven: int = 0
    worker: str = ""
    worker_version: str = ""

    @property
    def meaning(self) -> str | None:
        """What the code means, in English."""
        return codes.meaning(self.code) if self.code else None

    def as_dict(self) -> dict[str, Any]:
        """The dead letter as JSON, with the code's meaning."""
        return {**asdict(self), "meaning": self.meaning}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(**{name: value for name, value in record.items() if name != "meaning"})


_KEYS = [keys.DEAD_LETTERS, keys.DEAD_LETTERS_BY_TIME, DEAD_LETTER_QUEUE]


class DeadLetterIndex:
    """The reading half: dead letters by job id, in Redis. Every method raises StoreError when it does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, job_id: str) -> DeadLetter | None:
        """The dead letter of a job, or None."""
        entry = self._entry(job_id)
        return DeadLetter.from_dict(entry["letter"]) if entry else None

    def list(self, code: str | None = None) -> Iterable[DeadLetter]:
        """Every dead letter, oldest first; only those of one business code if it is given."""
        job_ids = [str(job_id) for job_id in self._store.zrange(keys.DEAD_LETTERS_BY_TIME, 0, -1)]
        for start in range(0, len(job_ids), CHUNK):
            for text in self._store.hmget(keys.DEAD_LETTERS, job_ids[start : start + CHUNK]):
                letter = DeadLetter.from_dict(json.loads(text)["letter"]) if text else None
                if letter and code in {None, letter.code}:
                    yield letter

    def count(self) -> int:
        """How many there are."""
        return int(self._store.hlen(keys.DEAD_LETTERS))

    def _entry(self, job_id: str) -> dict[str, Any] | None:
        text = self._store.hget(keys.DEAD_LETTERS, job_id)
        return json.loads(text) if text else None


class DeadLetters(DeadLetterIndex):
    """All dead letters, in the broker's Redis. Every method raises StoreError when it does not answer."""

    def __init__(self, broker: Store) -> None:
        super().__init__(broker)
        self.broker = broker
        self._put = broker.register_script(_PUT)
        self._take = broker.register_script(_TAKE)

    def put(self, letter: DeadLetter, message: TaskMessage, score: float) -> None:
        """Keep a dead letter, in place of an earlier one of the same job; `score` (Unix time) orders the list."""
        envelope = message.envelope(DEAD_LETTER_QUEUE, {HEADER: letter.as_dict()})
        entry = {"letter": letter.as_dict(), "message": message.to_json(), "envelope": envelope}
        text = json.dumps(entry)
        self._put(keys=_KEYS, args=[letter.job_id, text, envelope, score])

    def redrive(self, job_id: str) -> bool:
        """Move the job's message back to its queue in one step; False when there is no such dead letter."""
        entry = self._entry(job_id)
        if not entry:
            return False
        message = TaskMessage.from_json(entry["message"])
        return bool(self._take(keys=[*_KEYS, message.home], args=[job_id, message.envelope(message.home)]))

    def discard(self, job_id: str) -> bool:
        """Drop the dead letter for good; False when there is none."""
        return bool(self._take(keys=[*_KEYS, DEAD_LETTER_QUEUE], args=[job_id, ""]))

    def keep_in_step(self) -> int:
        """Bring queue and index in step: nothing to do here, each step changes both."""
        return 0
