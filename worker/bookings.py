"""Messages that a worker has taken from a Redis queue and not yet acknowledged: a lease each, renewed while it works.

Taking a message and booking it is one script, so no kill falls between the two. A booking that nobody renews lapses
after the visibility timeout, and any worker puts its message back. All times are Redis's own.

The hash `hmt_pass:booked` maps a tag to "queue, line feed, list entry"; the sorted set beside it orders the tags by
their last renewal.
"""

import threading
import time
from collections.abc import Callable
from enum import StrEnum

from hmt_pass import keys
from hmt_pass.errors import StoreError
from hmt_pass.store import Store
from worker.call_scripts import NOW
from worker.observe import log
from worker.steady import STEADY

# Keys: the queues in the order to ask them, the hash, the sorted set. Argument: the tag of the booking.
TAKE = """
local booked, by_time = KEYS[#KEYS - 1], KEYS[#KEYS]
for i = 1, #KEYS - 2 do
    local entry = redis.call('RPOP', KEYS[i])
    if entry then
        local time = redis.call('TIME')
        redis.call('HSET', booked, ARGV[1], KEYS[i] .. '\\n' .. entry)
        redis.call('ZADD', by_time, time[1] + time[2] / 1000000, ARGV[1])
        return {KEYS[i], entry}
    end
end
return false
"""

_ACKNOWLEDGE = """
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
"""

_GIVE_BACK = """
local kept = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
if not kept then return 0 end
local cut = string.find(kept, '\\n', 1, true)
redis.call('RPUSH', string.sub(kept, 1, cut - 1), string.sub(kept, cut + 1))
return 1
"""

_RENEW = (
    NOW
    + STEADY
    + """
local by_time, steady = unpack(KEYS)
beat(steady, tonumber(ARGV[1]))
for i = 2, #ARGV do redis.call('ZADD', by_time, 'XX', now, ARGV[i]) end
"""
)

_RESTORE = (
    NOW
    + STEADY
    + """
local booked, by_time, steady = unpack(KEYS)
local lease_s, limit, grace_s = unpack(ARGV)
if not is_steady(steady, tonumber(grace_s)) then return 0 end
local lapsed = redis.call('ZRANGEBYSCORE', by_time, '-inf', now - lease_s, 'LIMIT', 0, limit)
for i = #lapsed, 1, -1 do
    local kept = redis.call('HGET', booked, lapsed[i])
    if kept then
        local cut = string.find(kept, '\\n', 1, true)
        redis.call('RPUSH', string.sub(kept, 1, cut - 1), string.sub(kept, cut + 1))
    end
    redis.call('HDEL', booked, lapsed[i])
    redis.call('ZREM', by_time, lapsed[i])
end
return #lapsed
"""
)

_KEYS = [keys.BOOKED, keys.BOOKED_BY_TIME]


class _End(StrEnum):
    ACKNOWLEDGE = "acknowledge"
    GIVE_BACK = "give back"


def split_entry(kept: str) -> tuple[str, str]:
    """The queue and the list entry of a booking."""
    queue, _, entry = kept.partition("\n")
    return queue, entry


class Bookings:
    """This process's bookings. Thread-safe. Nothing here raises StoreError but `renew` and `restore_lapsed`.

    `deadline_s` is the longest that a message may be worked on; after it the booking is left to lapse.
    """

    def __init__(
        self, broker: Store, lease_s: float, deadline_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._broker = broker
        self._lease_s = lease_s
        self._grace_s = lease_s / 2
        self._deadline_s = deadline_s
        self._clock = clock
        self._lock = threading.Lock()
        self._taken: dict[str, float] = {}
        self._unsaid: dict[str, _End] = {}
        self._scripts = {
            _End.ACKNOWLEDGE: broker.register_script(_ACKNOWLEDGE),
            _End.GIVE_BACK: broker.register_script(_GIVE_BACK),
        }
        self._renew = broker.register_script(_RENEW)
        self._restore = broker.register_script(_RESTORE)

    def taken(self, tag: str) -> None:
        """Keep a booking alive from now on."""
        with self._lock:
            self._taken[tag] = self._clock()

    def acknowledge(self, tag: str) -> None:
        """The message is done with. Said again by `renew` when Redis does not answer now."""
        self._end(tag, _End.ACKNOWLEDGE)

    def give_back(self, tag: str) -> None:
        """Put the message back where it is taken next, as it was; nothing happens when it has lapsed. Said again."""
        self._end(tag, _End.GIVE_BACK)

    def give_back_all(self) -> None:
        """Put back whatever is left: the process ends."""
        with self._lock:
            left = list(self._taken)
        for tag in left:
            self.give_back(tag)

    def renew(self) -> None:
        """Say again what Redis did not hear, then keep alive what is worked on and not overdue. Raises StoreError."""
        with self._lock:
            unsaid = dict(self._unsaid)
            oldest = self._clock() - self._deadline_s
            tags = [tag for tag, since in self._taken.items() if since > oldest]
        for tag, end in unsaid.items():
            self._say(tag, end)
        self._renew(keys=[keys.BOOKED_BY_TIME, keys.BOOKED_STEADY], args=[self._grace_s, *tags])

    def restore_lapsed(self, limit: int = 200) -> int:
        """Put at most `limit` messages whose worker has died back on their queues; returns how many were.

        None while Redis was away for half a lease, and for half a lease after: what has lapsed then is still worked on.
        Raises StoreError.
        """
        return int(self._restore(keys=[*_KEYS, keys.BOOKED_STEADY], args=[self._lease_s, limit, self._grace_s]))

    def _end(self, tag: str, end: _End) -> None:
        with self._lock:
            self._taken.pop(tag, None)
            self._unsaid[tag] = end
        try:
            self._say(tag, end)
        except StoreError as error:
            log.warning("booking.unsaid", end=str(end), reason=str(error))

    def _say(self, tag: str, end: _End) -> None:
        self._scripts[end](keys=_KEYS, args=[tag])
        with self._lock:
            self._unsaid.pop(tag, None)
