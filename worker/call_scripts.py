"""The Lua around one call of the endpoint: what must be true before it, and what is written down after it.

Each is one step that a kill cannot cut in two, so that limits, ledger and hold agree with the attempts. worker.calls
says what each is for. Kept to the commands of Redis 6.2.
"""

# Times are those of Redis, in seconds, because the clocks of workers differ.
NOW = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
"""

# `allowed`: the calls a second that may be begun now. 1009s cut them to what was taken; they grow back by 15 % of it a
# second. A few refusals are let pass: they may have nothing to do with our rate.
# After a hold they begin at a 64th of the limit and double every 5 s.
# `lately`: how many calls were begun and refused in this window of a second and the one before it, and its length.
# `set_right`: a moment further ahead than it is ever written was written before Redis's clock was set back; it is now.
# `due` may lie as far ahead as the row is long, and by a few places of the slowest rate.
LIMITS = """
local burst_s, horizon_s = 0.05, {interactive = 1, bulk = 0.25}
local function set_right(rate, limit)
    local ahead_s = {due = burst_s + horizon_s.interactive + 3 / math.min(limit, 1)}
    local fields = {'due', 'cut_at', 'ramp_at', 'began_at'}
    local moments = redis.call('HMGET', rate, unpack(fields))
    for i, field in ipairs(fields) do
        if moments[i] and moments[i] - now > (ahead_s[field] or 0) then
            redis.call('HSET', rate, field, string.format('%.6f', now))
        end
    end
end
local function allowed(rate, limit)
    local cut, cut_at, ramp_at = unpack(redis.call('HMGET', rate, 'cut', 'cut_at', 'ramp_at'))
    local calls = limit
    if cut then calls = math.min(calls, cut * (1 + (now - cut_at) * 0.15)) end
    if ramp_at then calls = math.min(calls, limit / 64 * 2 ^ math.floor((now - ramp_at) / 5)) end
    return math.max(calls, math.min(limit, 1))
end
local function roll(rate)
    local began_at, begun, refused = unpack(redis.call('HMGET', rate, 'began_at', 'begun', 'refused'))
    local age_s = now - tonumber(began_at or 0)
    if age_s < 1 then return end
    if age_s >= 2 then begun, refused = 0, 0 end
    redis.call('HSET', rate, 'began_at', string.format('%.6f', now), 'begun', 0, 'refused', 0,
        'begun_before', begun or 0, 'refused_before', refused or 0)
end
local function lately(rate)
    local began_at, begun, refused, begun_before, refused_before =
        unpack(redis.call('HMGET', rate, 'began_at', 'begun', 'refused', 'begun_before', 'refused_before'))
    local seconds = math.max(now - began_at, 0.1) + (tonumber(begun_before) > 0 and 1 or 0)
    return begun + begun_before, refused + refused_before, seconds
end
"""

# The vendor's day and month, as 2026-11-26 and 2026-11; and one more call in the books of both.
BOOKS = """
local function periods(offset_s)
    local z = math.floor((now + offset_s) / 86400) + 719468
    local era = math.floor(z / 146097)
    local doe = z - era * 146097
    local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
    local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
    local mp = math.floor((5 * doy + 2) / 153)
    local day, month = doy - math.floor((153 * mp + 2) / 5) + 1, mp < 10 and mp + 3 or mp - 9
    local year_month = string.format('%04d-%02d', yoe + era * 400 + (month <= 2 and 1 or 0), month)
    return {string.format('%s-%02d', year_month, day), year_month}
end
local function count(spend, offset_s, what, by)
    for _, period in ipairs(periods(offset_s)) do
        redis.call('HINCRBY', spend .. ':' .. period, what, by)
        redis.call('EXPIRE', spend .. ':' .. period, 34560000)
    end
end
local function book(spend, offset_s, tally, ledger, job_id, record, label, charged, possibly_charged)
    redis.call('XADD', ledger, '*', 'job_id', job_id, 'call', record)
    redis.call('HINCRBY', tally, 'calls|' .. label, 1)
    count(spend, offset_s, 'calls', 1)
    for what, is_so in pairs({charged = charged, possibly_charged = possibly_charged}) do
        if is_so then
            redis.call('HINCRBY', tally, what, 1)
            count(spend, offset_s, what, 1)
        end
    end
end
"""

# A hold that is over stays to be looked at; what waited is let through bit by bit (`ramp_at`), or all at once.
RELEASING = """
local function release(hold, last, released_at, rate, moment, by, at_once)
    redis.call('RENAME', hold, last)
    redis.call('HSET', last, 'released_at', moment, 'released_by', by)
    redis.call('SET', released_at, moment)
    redis.call('HDEL', rate, 'ramp_at', 'cut', 'cut_at')
    if not at_once then redis.call('HSET', rate, 'ramp_at', now) end
end
"""

# How many failures of one kind came in a row, this one included, and whose they were.
FAILING = """
local function one_more(failures, failing, failure, job_id)
    if redis.call('HGET', failures, 'kind') ~= failure then
        redis.call('DEL', failures, failing)
        redis.call('HSET', failures, 'kind', failure)
    end
    redis.call('SADD', failing, job_id)
    return redis.call('HINCRBY', failures, 'n', 1)
end
"""

# A place in the row of calls is kept by `ticket`, the number of cuts when it was given: after a cut it is void.
# How far ahead a place may be kept differs by lane: so the interactive one goes first when there is too much to do.
# The leave lasts as long as the claim, and as the lease on the content, if there is one: neither may end first.
# An attempt without an end is this claim's own, whose first answer was lost: CLAIM has ended any other.
# A call whose end is expected later than any worker expects it began before Redis's clock was set back: not counted.
BEGIN = (
    NOW
    + LIMITS
    + BOOKS
    + """
local job, claim, attempts, receipt, hold, rate, in_flight, spend, content = unpack(KEYS)
local token, lease_ms, record, job_id, process, lane, ticket = unpack(ARGV, 1, 7)
local limit, max_in_flight, call_s = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local offset_s, budgets = tonumber(ARGV[11]), cjson.decode(ARGV[12])
if redis.call('GET', claim) ~= token or content and redis.call('GET', content) ~= token then return {'lost'} end
if redis.call('EXISTS', receipt) == 1 then return {'paid'} end
for _, lease in ipairs({claim, content}) do redis.call('PEXPIRE', lease, lease_ms) end
local last = redis.call('HGET', job, 'attempts')
local begun = last and redis.call('HGET', attempts, last)
if begun and cjson.decode(begun).ended_at == cjson.null then return {'go', last} end
local is_canary = false
if redis.call('EXISTS', hold) == 1 then
    local canary = redis.call('HMGET', hold, 'canary', 'canary_call')
    if canary[1] ~= process or canary[2] then return {'held'} end
    is_canary = true
end
set_right(rate, limit)
redis.call('ZREMRANGEBYSCORE', in_flight, '-inf', now)
redis.call('ZREMRANGEBYSCORE', in_flight, now + 3 * call_s, '+inf')
local under_way = redis.call('ZCARD', in_flight)
for i, period in ipairs(periods(offset_s)) do
    if budgets[i] then
        local used = redis.call('HMGET', spend .. ':' .. period, 'charged', 'possibly_charged')
        local calls = tonumber(used[1] or 0) + tonumber(used[2] or 0)
        if calls >= budgets[i] then return {'spent', i == 1 and 'day' or 'month'} end
        if calls + under_way >= budgets[i] then return {'wait', 200, ticket} end
    end
end
if not is_canary then
    local calls, cuts = allowed(rate, limit), redis.call('HGET', rate, 'cuts') or '0'
    if ticket ~= cuts then
        local due = math.max(tonumber(redis.call('HGET', rate, 'due') or 0), now)
        local wait_s = due - now - burst_s
        if wait_s > horizon_s[lane] then return {'later', math.ceil((wait_s - horizon_s[lane]) * 1000)} end
        redis.call('HSET', rate, 'due', due + 1 / calls)
        if wait_s > 0 then return {'wait', math.ceil(wait_s * 1000), cuts} end
    end
    local room = math.max(1, math.floor(max_in_flight * calls / limit))
    if lane == 'bulk' then room = math.max(1, room - math.ceil(room / 10)) end
    if under_way >= room then return {'wait', 50, cuts} end
end
local attempt = redis.call('HINCRBY', job, 'attempts', 1)
local written = cjson.decode(record)
written.attempt, written.sequence_id = attempt, job_id .. '-' .. attempt
redis.call('HSET', attempts, attempt, cjson.encode(written))
redis.call('ZADD', in_flight, now + call_s, written.sequence_id)
if is_canary then redis.call('HSET', hold, 'canary_call', written.sequence_id) end
roll(rate)
redis.call('HINCRBY', rate, 'begun', 1)
return {'go', attempt}
"""
)

# A job that has its end already needs no receipt: it would lie there until it expires, or end the job once more.
# Said twice, because the first answer was lost, it is booked once; the truth about a call whose worker was taken for
# dead takes the place of the guess, but in the tally, whose counters only grow.
END = (
    NOW
    + LIMITS
    + BOOKS
    + RELEASING
    + FAILING
    + """
local job, claim, attempts, receipt, hold, last, released_at, rate, in_flight, spend, tally, ledger, failures, failing =
    unpack(KEYS)
local token, job_id, number, record, paid, ttl_s, label, failure, verdict = unpack(ARGV, 1, 9)
local limit, offset_s, hold_after = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
set_right(rate, limit)
local state, is_ours = redis.call('HGET', job, 'state'), redis.call('GET', claim) == token
if paid ~= '' and state ~= 'recognized' and state ~= 'rejected' then
    if is_ours then
        redis.call('SET', receipt, paid, 'EX', ttl_s)
    else
        redis.call('SET', receipt, paid, 'NX', 'EX', ttl_s)
    end
end
local written, old = cjson.decode(record), redis.call('HGET', attempts, number)
old = old and cjson.decode(old)
redis.call('HSET', attempts, number, record)
redis.call('ZREM', in_flight, written.sequence_id)
local was_guessed = old and old.error == 'worker died'
if old and old.ended_at ~= cjson.null and not was_guessed then return {is_ours and 1 or 0, ''} end
if was_guessed then
    count(spend, offset_s, 'calls', -1)
    count(spend, offset_s, 'possibly_charged', -1)
end
if written.possibly_charged and not was_guessed then redis.call('HINCRBY', job, 'possibly_charged', 1) end
book(spend, offset_s, tally, ledger, job_id, record, label, written.charge == 1, written.possibly_charged)
redis.call('HINCRBY', tally, 'latency_ms_sum', written.ms)
local bucket = 'inf'
for _, most in ipairs({100, 250, 500, 1000, 2000, 3000, 5000, 10000, 30000}) do
    if written.ms <= most then
        bucket = most
        break
    end
end
redis.call('HINCRBY', tally, 'latency_ms|' .. bucket, 1)
if label == '1009' then
    roll(rate)
    redis.call('HINCRBY', rate, 'refused', 1)
    local begun, refused, seconds = lately(rate)
    local calls = 0.9 * math.max(begun - refused, 0) / seconds
    if refused >= 3 and refused > begun / 10 and calls < allowed(rate, limit) then
        redis.call('HSET', rate, 'cut', math.max(calls, 0.5), 'cut_at', now)
        redis.call('HINCRBY', rate, 'cuts', 1)
    end
end
local canary_call, tries, delays, held_for =
    unpack(redis.call('HMGET', hold, 'canary_call', 'tries', 'delays', 'failure'))
local event = ''
if canary_call == written.sequence_id then
    if verdict == 'well' then
        release(hold, last, released_at, rate, written.ended_at, 'canary ' .. job_id, false)
        event = 'healed'
    else
        delays, tries = cjson.decode(delays), tonumber(tries or 0) + 1
        local next_at = now + delays[math.min(tries + 1, #delays)]
        redis.call('HSET', hold, 'tries', tries, 'answer', label, 'canary_at', next_at)
        redis.call('HDEL', hold, 'canary', 'canary_call', 'canary_until')
        event = 'still ill'
    end
end
if failure == '' then
    if verdict == 'well' then redis.call('DEL', failures, failing) end
elseif held_for == failure then
    event = 'failing'
elseif one_more(failures, failing, failure, job_id) >= hold_after and event == '' then
    event = 'failing'
end
return {is_ours and 1 or 0, event}
"""
)
