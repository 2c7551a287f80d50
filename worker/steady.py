"""Whether the fleet could renew its leases all the while, in Lua: for whoever must not take the living for dead.

Any worker's renewal is the fleet's beat. When none came for a while nobody could renew, and what has lapsed then is
still worked on. Redis itself looks, not whoever asks: once it goes on, a frozen one carries out what was asked of it
before. Needs `now` of worker.call_scripts.NOW. A record `steady` is a hash: when the last beat was, and since when they
have come. A moment that lies ahead is from before Redis's clock was set back, and is as good as none.
"""

STEADY = """
local function beat(steady, grace_s)
    local last, since = unpack(redis.call('HMGET', steady, 'beat', 'since'))
    local moment = string.format('%.6f', now)
    if not last or math.abs(now - last) > grace_s or now < tonumber(since) then
        redis.call('HSET', steady, 'since', moment)
    end
    redis.call('HSET', steady, 'beat', moment)
end
local function is_steady(steady, grace_s)
    local last, since = unpack(redis.call('HMGET', steady, 'beat', 'since'))
    return last and math.abs(now - last) <= grace_s and now - since >= grace_s
end
"""
