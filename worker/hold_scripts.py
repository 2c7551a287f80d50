"""The Lua of the hold, each script one step. worker.hold says what each is for."""

from worker.call_scripts import FAILING, NOW, RELEASING

# The first reason stays. A hold that heals gets the time of its first canary.
OPEN = (
    NOW
    + """
local hold, incident, failures, failing = unpack(KEYS)
local job_id, delays, heals = unpack(ARGV, 1, 3)
if redis.call('EXISTS', hold) == 1 then return 0 end
redis.call('HSET', hold, 'delays', delays, unpack(ARGV, 4))
if heals == '1' then redis.call('HSET', hold, 'canary_at', now + cjson.decode(delays)[1]) end
if redis.call('HGET', hold, 'kind') == 'failures' then redis.call('SUNIONSTORE', incident, failing) end
if job_id ~= '' then redis.call('SADD', incident, job_id) end
redis.call('EXPIRE', incident, 34560000)
redis.call('DEL', failures, failing)
return 1
"""
)

# Whether a canary is due and nobody is at it. One that is further off than the longest delay was put there
# before Redis's clock was set back.
_DUE = """
local function is_due(hold)
    local at, canary, lease, delays = unpack(redis.call('HMGET', hold, 'canary_at', 'canary', 'canary_until', 'delays'))
    if not at then return false end
    local wait_s = tonumber(at) - now
    return (wait_s <= 0 or wait_s > math.max(unpack(cjson.decode(delays)))) and (not canary or tonumber(lease) < now)
end
"""

LOOK = NOW + _DUE + "return {redis.call('HGETALL', KEYS[1]), is_due(KEYS[1]) and 1 or 0}"

# One worker in the fleet tries one call; should it die at it, another one may after `lease_s`.
TAKE_CANARY = (
    NOW
    + _DUE
    + """
local hold, process, lease_s = KEYS[1], ARGV[1], ARGV[2]
if not is_due(hold) then return 0 end
redis.call('HSET', hold, 'canary', process, 'canary_until', now + lease_s)
redis.call('HDEL', hold, 'canary_call')
return 1
"""
)

END_HOLD = (
    NOW
    + RELEASING
    + """
local hold, last, released_at, rate = unpack(KEYS)
local moment, by, at_once, kind = unpack(ARGV)
local found = redis.call('HGET', hold, 'kind')
if not found or (kind ~= '' and found ~= kind) then return 0 end
release(hold, last, released_at, rate, moment, by, at_once == '1')
return 1
"""
)

# One more failure of a kind that no call shows, a bug's; 1 when there were so many in a row that the fleet should stop.
FAILED = (
    FAILING
    + """
local failures, failing, hold = unpack(KEYS)
local failure, job_id, hold_after = unpack(ARGV)
if redis.call('HGET', hold, 'failure') == failure then return 1 end
return one_more(failures, failing, failure, job_id) >= tonumber(hold_after) and 1 or 0
"""
)
