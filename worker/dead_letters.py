"""The dead-letter queue on Redis: one message a job on the list `hmt_pass.dead_letter`, and an index by job id.

Both are written in one script, so they cannot disagree. An entry of the index is the list entry itself: that is how it
is found in the list. To look for one among 100,000 takes Redis milliseconds; so one that is neither in a short list nor
at the old end of it is marked as gone, and all of those are swept out in one pass.
"""

import secrets
from collections.abc import Iterable, Mapping

from hmt_pass import keys
from hmt_pass.job import DEAD_LETTER_QUEUE
from hmt_pass.store import Store
from worker.dead_letter_index import CHUNK, DeadLetterIndex, chunks, tidying_alone
from worker.envelope import TaskMessage
from worker.letters import DeadLetter, LetterId
from worker.puts import Put

FEW = 1000  # entries that are searched at once: 0.1 ms
SWEEP = 200  # entries a script: some milliseconds, in which Redis does nothing else

# A list entry ends in its delivery tag, which is what marks it as gone: 36 characters before `"}}`.
_OUT = """
local function out(index, by_time, queue, gone, job_id, few)
    local old = redis.call('HGET', index, job_id)
    local lying = old
    if string.sub(old, 1, 10) == '{"letter":' then lying = cjson.decode(old).envelope end
    if redis.call('LLEN', queue) <= tonumber(few) then
        redis.call('LREM', queue, -1, lying)
    elseif redis.call('LINDEX', queue, -1) == lying then
        redis.call('RPOP', queue)
    else
        redis.call('SADD', gone, string.sub(lying, -39, -4))
    end
    redis.call('HDEL', index, job_id)
    redis.call('ZREM', by_time, job_id)
end

local function is_there(by_time, job_id, put_at)
    local score = redis.call('ZSCORE', by_time, job_id)
    return score and (put_at == '' or tonumber(score) == tonumber(put_at))
end
"""

_PUT = f"""{_OUT}
local index, by_time, queue, gone = unpack(KEYS)
local job_id, envelope, score, few = unpack(ARGV)
if is_there(by_time, job_id, '') then out(index, by_time, queue, gone, job_id, few) end
redis.call('HSET', index, job_id, envelope)
redis.call('ZADD', by_time, score, job_id)
redis.call('LPUSH', queue, envelope)
"""

_DISCARD = f"""{_OUT}
local index, by_time, queue, gone = unpack(KEYS)
local job_id, put_at, few = unpack(ARGV)
if not is_there(by_time, job_id, put_at) then return 0 end
out(index, by_time, queue, gone, job_id, few)
return 1
"""

# What is no longer in the plan was taken by another process, or the redrive was called off.
_REDRIVE = f"""{_OUT}
local index, by_time, queue, gone, plan, facts, home = unpack(KEYS)
local job_id, put_at, envelope, few = unpack(ARGV)
if redis.call('ZREM', plan, job_id) == 0 then return 0 end
if not is_there(by_time, job_id, put_at) then
    redis.call('HINCRBY', facts, 'skipped', 1)
    return 0
end
out(index, by_time, queue, gone, job_id, few)
redis.call('LPUSH', home, envelope)
redis.call('HINCRBY', facts, 'moved', 1)
return 1
"""

_SWEEP = """
local queue, gone = unpack(KEYS)
local swept = 0
for _ = 1, tonumber(ARGV[1]) do
    local entry = redis.call('LMOVE', queue, queue, 'RIGHT', 'LEFT')
    if entry and redis.call('SISMEMBER', gone, string.sub(entry, -39, -4)) == 1 then
        redis.call('LPOP', queue)
        swept = swept + 1
    end
end
return swept
"""

_KEYS = [keys.DEAD_LETTERS, keys.DEAD_LETTERS_BY_TIME, DEAD_LETTER_QUEUE, keys.DEAD_LETTERS_GONE]


class DeadLetters(DeadLetterIndex):
    """All dead letters, in the broker's Redis. Every method raises StoreError when it does not answer."""

    def __init__(self, broker: Store) -> None:
        super().__init__(broker)
        self._put = broker.register_script(_PUT)
        self._discard = broker.register_script(_DISCARD)
        self._redrive = broker.register_script(_REDRIVE)
        self._sweep = broker.register_script(_SWEEP)

    def put(self, letter: DeadLetter, message: TaskMessage, score: float) -> None:
        """Keep a dead letter, in place of an earlier one of the same job; `score` (Unix time) orders the list."""
        envelope = Put(letter, message, score, secrets.token_hex(8)).envelope()
        self._put(keys=_KEYS, args=[letter.job_id, envelope, score, FEW])

    def redrive(self, letters: Mapping[LetterId, Put], name: str) -> int:
        """Take letters out of a named redrive and move their messages home; returns how many.

        Each in one step, once. One that is gone, or was put anew since, is taken out of the redrive alone.
        """
        planned = [keys.redrive(name), keys.redrive_facts(name)]
        with self.store.pipeline(transaction=False) as pipe:
            for letter, put in letters.items():
                home = put.message.home
                arguments: list[str | float] = [letter.job_id, letter.put_at, put.message.envelope(home), FEW]
                self._redrive(keys=[*_KEYS, *planned, home], args=arguments, client=pipe)
            return sum(pipe.execute())

    def discard(self, job_id: str) -> bool:
        """Drop the dead letter of a job for good; False when there is none."""
        return bool(self._discard(keys=_KEYS, args=[job_id, "", FEW]))

    def discard_all(self, letters: Iterable[LetterId]) -> list[str]:
        """Drop these letters and no later ones of the same jobs; returns the jobs of those that were there."""
        dropped: list[str] = []
        for chunk in chunks(letters, CHUNK):
            with self.store.pipeline(transaction=False) as pipe:
                for letter in chunk:
                    self._discard(keys=_KEYS, args=[*letter, FEW], client=pipe)
                dropped += [letter.job_id for letter, is_gone in zip(chunk, pipe.execute(), strict=True) if is_gone]
        return dropped

    def keep_in_step(self) -> int:
        """Sweep what is gone out of the list; returns how many entries that were. One process at a time."""
        if not self.store.exists(keys.DEAD_LETTERS_GONE):
            return 0
        with tidying_alone(self.store) as alone:
            return self._sweep_all() if alone else 0

    def _sweep_all(self) -> int:
        """Turn the whole list round once, so that its order stays; cut short, the next pass does the rest."""
        gone = [str(mark) for mark in self.store.smembers(keys.DEAD_LETTERS_GONE)]
        left, swept = int(self.store.llen(DEAD_LETTER_QUEUE)), 0
        while left > 0:
            swept += int(self._sweep(keys=[DEAD_LETTER_QUEUE, keys.DEAD_LETTERS_GONE], args=[min(left, SWEEP)]))
            left -= SWEEP
        for chunk in chunks(gone, CHUNK):
            self.store.srem(keys.DEAD_LETTERS_GONE, *chunk)
        return swept
