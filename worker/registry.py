"""Open jobs, and the search for those that the broker has lost.

Every job without an end is in the sorted set of its lane, by the Redis time at which it was last moved: enqueued,
claimed, or when its wait ends. A queue is first in, first out. So a job is overtaken when one that was enqueued later
has been claimed already, or when its queue is empty; an overtaken job that no worker has and that does not wait is
lost, and its message is written anew under the same id. However long a queue is, or is held, nobody in it is overtaken.

The frontier of a lane is the latest enqueuing that has been claimed. Only a job's first claim counts for it (the field
`moved`): one that was delayed or written anew is claimed out of turn, and would make all that wait look overtaken.

The registry lives with the job states. A broker of its own may lose everything; one Redis for both is as good as its
append-only file (docs/reliability.md).
"""

from dataclasses import dataclass
from typing import cast

from hmt_pass import keys
from hmt_pass.errors import InvalidJobError
from hmt_pass.job import Job, Lane
from hmt_pass.status import State
from hmt_pass.store import Store
from worker.broker import Delays, Queues
from worker.call_scripts import NOW
from worker.envelope import TaskMessage
from worker.observe import log
from worker.steady import STEADY

BATCH = 200  # jobs looked at in one round
_OPEN_STATES = {State.QUEUED, State.RUNNING, State.RETRYING}

# One round at a time in the fleet. KEYS: lock, lanes. ARGV: owner, how long in ms.
_LOCK = "return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0"

# The jobs of a lane that were overtaken `grace_s` ago. `is_empty`: nothing waits in its queue. No job while claims may
# have lapsed that living workers could not renew, nor for half a lease (`steady_s`) after it: nobody seems to have
# them then. A frontier that lies ahead is from before Redis's clock was set back, and says nothing.
_OVERTAKEN = (
    NOW
    + STEADY
    + """
local open, frontier, steady = unpack(KEYS)
local lane, is_empty, grace_s, steady_s, limit = unpack(ARGV)
if not is_steady(steady, tonumber(steady_s)) then return {} end
local horizon = now
if is_empty ~= '1' then
    horizon = tonumber(redis.call('HGET', frontier, lane) or 0)
    if horizon > now then return {} end
end
return redis.call('ZRANGEBYSCORE', open, '-inf', horizon - grace_s, 'LIMIT', 0, limit)
"""
)

# Counts a job as moved now, unless somebody has it or it has been moved since; 1 when its message may be written.
_TAKE_UP = """
local open, claim, job = unpack(KEYS)
local job_id, moved = unpack(ARGV)
if redis.call('EXISTS', claim) == 1 or tonumber(redis.call('ZSCORE', open, job_id) or 0) ~= tonumber(moved) then
    return 0
end
local time = redis.call('TIME')
redis.call('HSET', job, 'moved', 1)
redis.call('ZADD', open, time[1] + time[2] / 1000000, job_id)
return 1
"""

# For how long the oldest job of a lane that nobody has claimed could have been; those before it are running, and those
# behind the present wait for their time. `claim`: the name of a claim, with %s for the job id.
_OLDEST_WAITING = """
local open, claim, page = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now, start = time[1] + time[2] / 1000000, 0
while true do
    local jobs = redis.call('ZRANGE', open, start, start + page - 1, 'WITHSCORES')
    for i = 1, #jobs, 2 do
        local waited_s = now - tonumber(jobs[i + 1])
        if waited_s <= 0 then return '0' end
        if redis.call('EXISTS', string.format(claim, jobs[i])) == 0 then return string.format('%.3f', waited_s) end
    end
    if #jobs == 0 then return '0' end
    start = start + page
end
"""


@dataclass(frozen=True, slots=True)
class Registry:
    """All open jobs. Methods raise StoreError.

    A job counts as lost two leases after it was overtaken, and only while the fleet's renewals come without a gap.
    """

    store: Store
    queues: Queues
    delays: Delays
    lease_s: float

    def reconcile(self, worker: str, every_s: float) -> list[str]:
        """Write the messages that the broker has lost; returns the ids of their jobs. At most once in `every_s`."""
        if not self.store.eval(_LOCK, 1, keys.RECONCILER, worker, int(every_s * 1000)):
            return []
        return [job_id for lane in Lane for job_id in self._reconcile(lane)]

    def count(self) -> int:
        """How many jobs have no end yet."""
        return sum(int(self.store.zcard(keys.open_jobs(lane))) for lane in Lane)

    def oldest_waiting_s(self, lane: Lane) -> float:
        """For how long the oldest waiting job of a lane could have been begun, in seconds; 0 when none waits.

        By when it was last moved: a retried job counts from the end of its wait, a job that was given back from when it
        was claimed. A job whose message the broker has lost waits too.
        """
        return float(self.store.eval(_OLDEST_WAITING, 1, keys.open_jobs(lane), keys.claim("%s"), BATCH))

    def _reconcile(self, lane: Lane) -> list[str]:
        moved = self._overtaken(lane)
        if not moved:
            return []
        in_hand = self.queues.in_hand()
        return [job_id for job_id in moved if job_id not in in_hand and self._is_written_anew(lane, job_id)]

    def _overtaken(self, lane: Lane) -> list[str]:
        is_empty = int(self.queues.waiting(lane.queue) == 0)
        names = [keys.open_jobs(lane), keys.FRONTIER, keys.CLAIMS_STEADY]
        times = (2 * self.lease_s, self.lease_s / 2)
        found = self.store.eval(_OVERTAKEN, len(names), *names, lane, is_empty, *times, BATCH)
        return [str(job_id) for job_id in found]

    def _is_written_anew(self, lane: Lane, job_id: str) -> bool:
        moved = self.store.zscore(keys.open_jobs(lane), job_id)
        fields = cast("dict[str, str]", self.store.hgetall(keys.job(job_id)))  # decode_responses makes them str
        if fields.get("state") not in _OPEN_STATES:
            self.store.zrem(keys.open_jobs(lane), job_id)
            return False
        if moved is None or self.delays.due_at(job_id) or not self._take_up(lane, job_id, moved):
            return False
        try:
            job = Job.from_state(job_id, fields)
        except InvalidJobError as error:  # somebody has deleted its hash; the round goes on
            self.store.zrem(keys.open_jobs(lane), job_id)
            log.error("job.cannot_be_written", job_id=job_id, reason=str(error))
            return False
        self.queues.publish(TaskMessage.for_job(job))
        log.error("job.was_lost", job_id=job_id, state=fields["state"], enqueued_at=fields.get("enqueued_at"))
        return True

    def _take_up(self, lane: Lane, job_id: str, moved: float) -> bool:
        names = [keys.open_jobs(lane), keys.claim(job_id), keys.job(job_id)]
        return bool(self.store.eval(_TAKE_UP, len(names), *names, job_id, moved))
