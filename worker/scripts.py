"""The Lua that changes a job's state in Redis, each script one step that a kill cannot cut in two.

Kept to the commands of Redis 6.2. worker.claims says what each is for, hmt_pass.keys what the keys are.
"""

CLAIM = """
local job, claim, attempts, receipt, hold, pause = unpack(KEYS)
local token, lease_ms, now, worker, image, flag, etag, lane = unpack(ARGV)
local known = redis.call('HMGET', job, 'image', 'hmt_flag', 'attempts', 'state', 'etag')
if known[1] and (known[1] ~= image or known[2] ~= flag or (known[5] or etag) ~= etag) then return {'conflict'} end
if redis.call('EXISTS', hold) == 1 then return {'held'} end
local wait_ms = redis.call('PTTL', pause)
if wait_ms > 0 then return {'paused', wait_ms} end
if not redis.call('SET', claim, token, 'NX', 'PX', lease_ms) then return {'claimed', redis.call('PTTL', claim)} end
local last = known[3] and redis.call('HGET', attempts, known[3])
local record = last and cjson.decode(last)
if record and record.ended_at == cjson.null then
    record.ended_at, record.error, record.possibly_charged = now, 'worker died', true
    redis.call('HSET', attempts, known[3], cjson.encode(record))
    redis.call('HINCRBY', job, 'possibly_charged', 1)
end
local state = known[4]
if not (state == 'recognized' or state == 'rejected' or state == 'dead') then
    redis.call('HSET', job, 'image', image, 'hmt_flag', flag, 'lane', lane, 'state', 'running', 'started_at', now,
        'worker', worker)
    redis.call('HDEL', job, 'reason')
    redis.call('PERSIST', job)
end
return {'claimed by us', redis.call('HGETALL', job), redis.call('GET', receipt)}
"""

INTENT = """
local job, claim, attempts, hold, pause = unpack(KEYS)
local token, lease_ms, record, job_id = unpack(ARGV)
if redis.call('GET', claim) ~= token then return {'lost'} end
if redis.call('EXISTS', hold) == 1 then return {'held'} end
local wait_ms = redis.call('PTTL', pause)
if wait_ms > 0 then return {'paused', wait_ms} end
local attempt = redis.call('HINCRBY', job, 'attempts', 1)
local written = cjson.decode(record)
written.attempt, written.sequence_id = attempt, job_id .. '-' .. attempt
redis.call('HSET', attempts, attempt, cjson.encode(written))
redis.call('PEXPIRE', claim, lease_ms)
return {'go', attempt}
"""

FINISH = """
local job, claim, attempts, receipt, result, content, lease = unpack(KEYS)
local token, generation, status_ttl_s, result_ttl_s, document, content_ttl_s, source = unpack(ARGV, 1, 7)
local holder = redis.call('GET', claim)
if holder and holder ~= token then return 0 end
redis.call('HDEL', job, 'reason', 'snoozes', 'failures', 'outages', 'first_failure_at', 'possibly_charged')
redis.call('HSET', job, unpack(ARGV, 8))
redis.call('HSET', job, 'attempts_before', redis.call('HGET', job, 'attempts') or 0)
redis.call('EXPIRE', job, status_ttl_s)
if (redis.call('HGET', job, 'generation') or '0') ~= generation then
    redis.call('HSET', job, 'state', 'queued')
    redis.call('PERSIST', job)
end
redis.call('EXPIRE', attempts, status_ttl_s)
redis.call('SET', result, document, 'EX', result_ttl_s)
if content_ttl_s ~= '0' then redis.call('SET', content, source, 'EX', content_ttl_s) end
redis.call('DEL', receipt, claim)
if redis.call('GET', lease) == token then redis.call('DEL', lease) end
return 1
"""

REVIVE = """
if redis.call('HGET', KEYS[1], 'state') ~= 'dead' then return end
local attempts = redis.call('HGET', KEYS[1], 'attempts')
redis.call('HSET', KEYS[1], 'state', 'queued', 'attempts_before', attempts or 0)
redis.call('HINCRBY', KEYS[1], 'redriven', 1)
redis.call('HDEL', KEYS[1], 'reason', 'snoozes', 'failures', 'outages', 'first_failure_at', 'possibly_charged',
    'finished_at')
redis.call('PERSIST', KEYS[1])
"""

LOOK = """
local content, lease = unpack(KEYS)
local token, lease_ms = unpack(ARGV)
local known = redis.call('GET', content)
if known then return {'known', known} end
return {redis.call('SET', lease, token, 'NX', 'PX', lease_ms) and 'ours' or 'taken'}
"""

RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
