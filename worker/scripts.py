"""The Lua that changes a job's state in Redis, each script one step that a kill cannot cut in two.

Kept to the commands of Redis 6.2. worker.claims says what each is for, hmt_pass.keys what the keys are.
"""

from worker.call_scripts import BOOKS, LIMITS, NOW
from worker.steady import STEADY

# A job left `running` by a process that has shown no sign of life since is a death, unless its reply is paid for.
# While the fleet cannot renew, the living show no signs either: then whoever asks waits until they have had time to.
CLAIM = (
    NOW
    + STEADY
    + LIMITS
    + BOOKS
    + """
local job, claim, attempts, receipt, hold, rate, open, frontier, suspect, spend, tally, ledger, steady = unpack(KEYS)
local token, lease_ms, moment, worker, image, flag, etag, lane, job_id, suspect_from, max_deaths = unpack(ARGV, 1, 11)
local process, offset_s, limit, life = ARGV[12], tonumber(ARGV[13]), tonumber(ARGV[14]), ARGV[15]
local known = redis.call('HMGET', job, 'image', 'hmt_flag', 'attempts', 'state', 'etag', 'deaths', 'claimed_by')
if known[1] and (known[1] ~= image or known[2] ~= flag or (known[5] or etag) ~= etag) then return {'conflict'} end
if redis.call('EXISTS', hold) == 1 then
    if redis.call('HGET', hold, 'canary') ~= process then return {'held'} end
else
    set_right(rate, limit)
    local wait_s = tonumber(redis.call('HGET', rate, 'due') or 0) - now - burst_s - horizon_s[lane]
    if wait_s > 0 then return {'later', math.ceil(wait_s * 1000)} end
end
if redis.call('EXISTS', claim) == 1 then return {'claimed', redis.call('PTTL', claim)} end
local is_paid = redis.call('EXISTS', receipt) == 1
local last_process = string.match(known[7] or '', '^(.*)%.') or ''
local is_death = known[4] == 'running' and not is_paid and redis.call('EXISTS', string.format(life, last_process)) == 0
if is_death and redis.call('EXISTS', steady) == 1 and not is_steady(steady, lease_ms / 2000) then
    return {'claimed', lease_ms / 2}
end
local last = known[3] and redis.call('HGET', attempts, known[3])
local record = last and cjson.decode(last)
if record and record.ended_at == cjson.null then
    record.ended_at, record.error, record.possibly_charged = moment, 'worker died', true
    redis.call('HSET', attempts, known[3], cjson.encode(record))
    redis.call('HINCRBY', job, 'possibly_charged', 1)
    book(spend, offset_s, tally, ledger, job_id, cjson.encode(record), 'worker died', false, true)
end
local state, deaths = known[4], tonumber(known[6] or 0)
if is_death then deaths = deaths + 1 end
if not is_paid and deaths >= tonumber(max_deaths) then
    redis.call('HSET', job, 'claimed_by', token)
    return {'poison', deaths}
end
if not is_paid and deaths >= tonumber(suspect_from) then
    if not redis.call('SET', suspect, token, 'NX', 'PX', lease_ms) then return {'suspect'} end
end
redis.call('SET', claim, token, 'PX', lease_ms)
redis.call('HSET', job, 'claimed_by', token)
if not (state == 'recognized' or state == 'rejected' or state == 'dead') then
    redis.call('HSET', job, 'image', image, 'hmt_flag', flag, 'lane', lane, 'state', 'running', 'started_at', moment,
        'worker', worker)
    if deaths > 0 then redis.call('HSET', job, 'deaths', deaths) end
    redis.call('HDEL', job, 'reason', 'revived')
    redis.call('PERSIST', job)
    local enqueued = redis.call('HSETNX', job, 'moved', 1) == 1 and redis.call('ZSCORE', open, job_id)
    local passed = tonumber(redis.call('HGET', frontier, lane) or 0)
    if passed > now then passed = 0 end
    if enqueued and tonumber(enqueued) > passed and tonumber(enqueued) <= now then
        redis.call('HSET', frontier, lane, enqueued)
    end
    redis.call('ZADD', open, now, job_id)
end
return {'claimed by us', redis.call('HGETALL', job), redis.call('GET', receipt)}
"""
)

# `how`: recognized, copied or rejected. What was spared by not calling is counted too. A job whose hash was deleted in
# its call has no generation any more, and no other photo for all we know.
FINISH = (
    NOW
    + BOOKS
    + """
local job, claim, attempts, receipt, result, content, lease, suspect, open, other_open, spend, tally = unpack(KEYS)
local token, generation, job_id, status_ttl_s, result_ttl_s, document, content_ttl_s, source = unpack(ARGV, 1, 8)
local how, offset_s = ARGV[9], tonumber(ARGV[10])
local holder = redis.call('GET', claim) or redis.call('HGET', job, 'claimed_by')
if holder and holder ~= token then return 0 end
redis.call('HDEL', job, 'reason', 'snoozes', 'failures', 'outages', 'first_failure_at', 'possibly_charged', 'deaths')
redis.call('HSET', job, unpack(ARGV, 11))
local calls = redis.call('HGET', job, 'attempts') or 0
local spent = calls - (redis.call('HGET', job, 'attempts_before') or 0)
redis.call('HINCRBY', tally, 'jobs|' .. how, 1)
redis.call('HINCRBY', tally, 'attempts|' .. (spent > 9 and '10+' or spent), 1)
if how == 'copied' or (how == 'rejected' and spent == 0) then
    redis.call('HINCRBY', tally, 'avoided|' .. how, 1)
    count(spend, offset_s, how, 1)
end
redis.call('HSET', job, 'attempts_before', calls)
redis.call('EXPIRE', job, status_ttl_s)
if (redis.call('HGET', job, 'generation') or generation) ~= generation then
    redis.call('HSET', job, 'state', 'queued')
    redis.call('PERSIST', job)
else
    redis.call('ZREM', open, job_id)
    redis.call('ZREM', other_open, job_id)
end
redis.call('EXPIRE', attempts, status_ttl_s)
redis.call('SET', result, document, 'EX', result_ttl_s)
if content_ttl_s ~= '0' then redis.call('SET', content, source, 'EX', content_ttl_s) end
redis.call('DEL', receipt, claim)
for _, held in ipairs({lease, suspect}) do
    if redis.call('GET', held) == token then redis.call('DEL', held) end
end
return 1
"""
)

# What becomes of a job is written by whoever claimed it last, also when that lease is over; and never over its end.
WRITE = """
local job, dead, open, other_open, tally = unpack(KEYS)
local token, job_id = unpack(ARGV, 1, 2)
local last = redis.call('HGET', job, 'claimed_by')
if token ~= '' and last and last ~= token then return 0 end
local state = redis.call('HGET', job, 'state')
if token ~= '' and (state == 'recognized' or state == 'rejected') then return 1 end
redis.call('HSET', job, unpack(ARGV, 3))
if redis.call('HGET', job, 'state') == 'dead' then
    redis.call('ZREM', open, job_id)
    redis.call('ZREM', other_open, job_id)
    redis.call('SADD', dead, job_id)
    if state ~= 'dead' then redis.call('HINCRBY', tally, 'jobs|dead', 1) end
end
return 1
"""

# `redrive` is who moves the job back, when and under which name; the last 20 of them are kept. `revived` is there until
# the job is claimed: what UNREVIVE needs.
REVIVE = """
local job, dead, interactive, bulk = unpack(KEYS)
local job_id, redrive = unpack(ARGV)
if redis.call('HGET', job, 'state') ~= 'dead' then return end
local attempts = redis.call('HGET', job, 'attempts')
local died = redis.call('HMGET', job, 'enqueues', 'reason', 'finished_at')
local revived = {enqueues = died[1] or '0', reason = died[2] or '', finished_at = died[3] or ''}
local redrives = cjson.decode(redis.call('HGET', job, 'redrives') or '[]')
table.insert(redrives, cjson.decode(redrive))
if #redrives > 20 then table.remove(redrives, 1) end
redis.call('SREM', dead, job_id)
redis.call('HSET', job, 'state', 'queued', 'attempts_before', attempts or 0, 'redrives', cjson.encode(redrives),
    'revived', cjson.encode(revived))
redis.call('HINCRBY', job, 'redriven', 1)
redis.call('HDEL', job, 'reason', 'snoozes', 'failures', 'outages', 'first_failure_at', 'possibly_charged', 'deaths',
    'moved', 'finished_at')
redis.call('PERSIST', job)
local time = redis.call('TIME')
local open = redis.call('HGET', job, 'lane') == 'bulk' and bulk or interactive
redis.call('ZADD', open, time[1] + time[2] / 1000000, job_id)
"""

# Only what nobody has claimed or enqueued since is dead again. A message of it that lies somewhere finds that end.
UNREVIVE = """
local job, claim, dead, open, other_open = unpack(KEYS)
local job_id = ARGV[1]
local known = redis.call('HMGET', job, 'state', 'revived', 'enqueues')
if known[1] ~= 'queued' or not known[2] or redis.call('EXISTS', claim) == 1 then return end
local revived = cjson.decode(known[2])
if revived.enqueues ~= (known[3] or '0') then return end
redis.call('HSET', job, 'state', 'dead', 'reason', revived.reason, 'finished_at', revived.finished_at)
redis.call('HDEL', job, 'revived')
redis.call('ZREM', open, job_id)
redis.call('ZREM', other_open, job_id)
redis.call('SADD', dead, job_id)
"""

# A job that is to run, or runs, keeps all it has, a reply that was paid for above all; then the answer is 0.
EXPIRE = """
local job, attempts, receipt, dead = unpack(KEYS)
local job_id, ttl_s = unpack(ARGV)
redis.call('SREM', dead, job_id)
local state = redis.call('HGET', job, 'state')
if state == 'queued' or state == 'running' or state == 'retrying' then return 0 end
redis.call('DEL', receipt)
redis.call('EXPIRE', job, ttl_s)
redis.call('EXPIRE', attempts, ttl_s)
return 1
"""

# A lease that lapsed while Redis was away, and that nobody has taken since, is ours again: the job still runs here. Not
# so the leave to run a suspect, which another one may have had meanwhile.
RENEW = """
local job, token, lease_ms, suspect = KEYS[1], unpack(ARGV)
local known = redis.call('HMGET', job, 'state', 'claimed_by')
local runs_here = known[1] == 'running' and known[2] == token
for i = 2, #KEYS do
    local holder = redis.call('GET', KEYS[i])
    if holder == token then
        redis.call('PEXPIRE', KEYS[i], lease_ms)
    elseif not holder and runs_here and KEYS[i] ~= suspect then
        redis.call('SET', KEYS[i], token, 'PX', lease_ms)
    end
end
"""

BEAT = NOW + STEADY + "beat(KEYS[1], tonumber(ARGV[1]))"

LOOK = """
local content, lease = unpack(KEYS)
local token, lease_ms = unpack(ARGV)
local known = redis.call('GET', content)
if known then return {'known', known} end
return {redis.call('SET', lease, token, 'NX', 'PX', lease_ms) and 'ours' or 'taken'}
"""

# Whoever claimed last lets go, also when that lease is over: said late, it is still no death.
RELEASE = """
local job, token = KEYS[1], ARGV[1]
for i = 2, #KEYS do
    if redis.call('GET', KEYS[i]) == token then redis.call('DEL', KEYS[i]) end
end
local known = redis.call('HMGET', job, 'state', 'claimed_by')
if known[1] == 'running' and known[2] == token then redis.call('HSET', job, 'state', 'queued') end
"""

# A job that has no end yet was moved, or will be in `delay_s`.
MOVED = """
local open, job = unpack(KEYS)
local job_id, delay_s = unpack(ARGV)
if not redis.call('ZSCORE', open, job_id) then return end
local time = redis.call('TIME')
redis.call('HSET', job, 'moved', 1)
redis.call('ZADD', open, time[1] + time[2] / 1000000 + delay_s, job_id)
"""
