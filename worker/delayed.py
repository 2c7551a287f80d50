"""Jobs that wait for their time: a retry or a snooze. One entry a job, due by the clock of Redis.

Celery's own countdown holds the message in a worker's memory and runs the job several times once it passes the
visibility timeout. Here it lies in the broker's Redis, and any worker moves it back when it is due.
"""

import json
from datetime import UTC, datetime

from hmt_pass import keys
from hmt_pass.store import Store
from worker.envelope import TaskMessage

_PUT = """
local delayed, messages = unpack(KEYS)
local job_id, entry, delay_s = unpack(ARGV)
local time = redis.call('TIME')
redis.call('HSET', messages, job_id, entry)
redis.call('ZADD', delayed, time[1] + time[2] / 1000000 + delay_s, job_id)
"""

_MOVE = """
local delayed, messages = unpack(KEYS)
local time = redis.call('TIME')
local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', time[1] + time[2] / 1000000, 'LIMIT', 0, ARGV[1])
for _, job_id in ipairs(due) do
    local text = redis.call('HGET', messages, job_id)
    if text then
        local entry = cjson.decode(text)
        redis.call('LPUSH', entry.queue, entry.envelope)
    end
    redis.call('HDEL', messages, job_id)
    redis.call('ZREM', delayed, job_id)
end
return #due
"""


class Delayed:
    """The delay set, in the broker's Redis. Every method raises StoreError when it does not answer."""

    def __init__(self, broker: Store) -> None:
        self._broker = broker
        self._put = broker.register_script(_PUT)
        self._move = broker.register_script(_MOVE)

    def put(self, job_id: str, message: TaskMessage, delay_s: float) -> None:
        """Have the message back on its queue after `delay_s`; a job that waits already waits anew, once."""
        entry = json.dumps({"queue": message.home, "envelope": message.envelope(message.home)})
        self._put(keys=[keys.DELAYED, keys.DELAYED_MESSAGES], args=[job_id, entry, delay_s])

    def set_aside(self, _message: TaskMessage) -> bool:
        """Have it back soon without counting the delivery: False, because Redis counts none."""
        return False

    def move_due(self, limit: int = 200) -> int:
        """Put at most `limit` messages whose time has come back on their queues; returns how many."""
        return int(self._move(keys=[keys.DELAYED, keys.DELAYED_MESSAGES], args=[limit]))

    def due_at(self, job_id: str) -> str | None:
        """When the job's wait ends, ISO 8601 in UTC; None when it does not wait."""
        due = self._broker.zscore(keys.DELAYED, job_id)
        return datetime.fromtimestamp(due, UTC).isoformat(timespec="milliseconds") if due else None
