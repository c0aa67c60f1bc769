-- How providers are doing: a breaker each, what they told us to wait, and whether they are switched on.
--
--     closed --`threshold` failures within `window` seconds--> open --after `cooldown`, one probe--> half open
--     half open --the probe succeeds--> closed       half open --it fails--> open
--
-- All processes share it, because it lives here; it survives a restart. It stands with the account that the provider is
-- asked for, and every tenant who asks for that account meets it. A probe whose leader vanished is over when its
-- lease is, and another one may begin.

local utf8 = require('utf8')
local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local metrics = require('lycosa.core.metrics')
local F = require('lycosa.lookup.fields').provider

local health = {}

local THRESHOLD, WINDOW_SECONDS, COOLDOWN_SECONDS = 5, 60, 30
-- Of somebody who says to wait and not for how long.
local WAIT_SECONDS = {throttled = 1, exhausted = 3600}

local function fresh(tenant, provider, now)
    return {
        tenant, bucket.of(tenant), provider, true, box.NULL, THRESHOLD, WINDOW_SECONDS, COOLDOWN_SECONDS, 'closed', 0, 0, 0,
        box.NULL, 0, 0, box.NULL, box.NULL, box.NULL, 0, 0, now,
    }
end

local function row_of(tenant, provider, now)
    return box.space.lookup_provider:get{tenant, provider}
        or box.space.lookup_provider:insert(fresh(tenant, provider, now))
end

local function change(row, changes)
    return box.space.lookup_provider:update({row[F.TENANT], row[F.PROVIDER]}, changes)
end

---The state of the breaker at a moment: the cool-down ends by itself.
---@param row box.tuple of `lookup_provider`
---@param now number
---@return string closed | open | half_open
function health.state(row, now)
    if row[F.BREAKER] == 'closed' then
        return 'closed'
    end
    return row[F.OPENS_UNTIL] <= now and 'half_open' or 'open'
end

---Why a provider may not be called now; nil when it may.
---@param tenant string
---@param provider string
---@param now number
---@return string? reason off | throttled | exhausted | refused | open | probing
---@return number? retry_after seconds; nil when waiting does not help
function health.obstacle(tenant, provider, now)
    local row = box.space.lookup_provider:get{tenant, provider}
    if row == nil then
        return nil
    elseif not row[F.ENABLED] then
        return row[F.BLOCKED_BY] == 'refused' and 'refused' or 'off', nil
    elseif row[F.BLOCKED_UNTIL] > now then
        return row[F.BLOCKED_BY], row[F.BLOCKED_UNTIL] - now
    end
    local state = health.state(row, now)
    if state == 'open' then
        return 'open', row[F.OPENS_UNTIL] - now
    elseif state == 'half_open' and row[F.PROBE] ~= nil and row[F.PROBE_ENDS] > now then
        return 'probing', row[F.PROBE_ENDS] - now
    end
end

-- What a provider said itself stands behind a colon and may repeat the question: it is nothing for other tenants.
local function told(account, tenant, text)
    return account == tenant and text or text:match('^[^:]*')
end

---How a provider failed that was called, in the form of one that was passed over.
---@param account string
---@param provider string
---@param now number
---@param tenant string to whom it is told
---@return {provider: string, reason: string, detail: string?, retry_after: number?} reason as of obstacle, or failed
function health.failed(account, provider, now, tenant)
    local row = row_of(account, provider, now)
    local reason, retry_after = health.obstacle(account, provider, now)
    local detail = row[F.LAST_ERROR]
    return {
        provider = provider, reason = reason or 'failed', retry_after = retry_after,
        -- Several of them make a reason.
        detail = detail ~= nil and utf8.sub(told(account, tenant, detail), 1, 50) or nil,
    }
end

---The place that an administrator gave a provider among the others.
---@param tenant string
---@param provider string
---@return integer? place from 1
function health.place(tenant, provider)
    local row = box.space.lookup_provider:get{tenant, provider}
    if row ~= nil and row[F.PLACE] ~= nil then
        return row[F.PLACE]
    end
end

---Note that a lease calls a provider. In a half-open breaker it is the probe.
---@param tenant string
---@param provider string
---@param token string of the lease
---@param ends_at number when the lease ends
---@param now number
function health.call(tenant, provider, token, ends_at, now)
    local row = row_of(tenant, provider, now)
    local changes = {{'+', F.CALLS, 1}}
    if health.state(row, now) == 'half_open' then
        table.insert(changes, {'=', F.PROBE, token})
        table.insert(changes, {'=', F.PROBE_ENDS, ends_at})
        metrics.count('lookup.probes')
    end
    change(row, changes)
end

---Note an answer: the breaker closes.
---@param tenant string
---@param provider string
function health.success(tenant, provider)
    local now = clock.now()
    local row = row_of(tenant, provider, now)
    if row[F.BREAKER] ~= 'closed' then
        metrics.count('lookup.breakers_closed')
        change(row, {
            {'=', F.BREAKER, 'closed'}, {'=', F.FAILURES, 0}, {'=', F.SINCE, 0}, {'=', F.PROBE, box.NULL},
            {'=', F.PROBE_ENDS, 0}, {'=', F.UPDATED, now},
        })
    end
end

---Give up a probe that said nothing of the provider, so that another may begin.
---@param tenant string
---@param provider string
---@param token string of the lease
function health.abandon(tenant, provider, token)
    local row = box.space.lookup_provider:get{tenant, provider}
    if row ~= nil and row[F.PROBE] == token then
        change(row, {{'=', F.PROBE, box.NULL}, {'=', F.PROBE_ENDS, 0}})
    end
end

-- The changes by which a failure moves the breaker.
local function move(row, token, now)
    local is_probe = row[F.PROBE] == token
    if row[F.BREAKER] ~= 'closed' and not is_probe then
        -- Of a call that began before the breaker opened.
        return {}
    end
    local within = row[F.SINCE] + row[F.WINDOW] > now
    local failures = within and row[F.FAILURES] + 1 or 1
    if is_probe or failures >= row[F.THRESHOLD] then
        metrics.count('lookup.breakers_opened')
        return {
            {'=', F.BREAKER, 'open'}, {'=', F.OPENS_UNTIL, now + row[F.COOLDOWN]}, {'=', F.FAILURES, 0}, {'=', F.SINCE, 0},
            {'=', F.PROBE, box.NULL}, {'=', F.PROBE_ENDS, 0},
        }
    end
    return {{'=', F.FAILURES, failures}, {'=', F.SINCE, within and row[F.SINCE] or now}}
end

---Note a failure. `transient` ones move the breaker; `late` ones, whose caller had no time for the provider, are noted and
---no more; `throttled` and `exhausted` ones block the provider for a time; `refused` ones switch it off until somebody
---switches it on.
---@param account string
---@param provider string
---@param cause string
---@param problem {error: string, retry_after: number?, token: string, tenant: string} `tenant` asked
function health.failure(account, provider, cause, problem)
    local now = clock.now()
    local row = row_of(account, provider, now)
    local changes
    if cause == 'transient' then
        changes = move(row, problem.token, now)
    elseif cause == 'late' then
        changes = {}
    elseif cause == 'refused' then
        changes = {{'=', F.ENABLED, false}, {'=', F.BLOCKED_BY, 'refused'}}
    else
        local wait = problem.retry_after or WAIT_SECONDS[cause]
        changes = {{'=', F.BLOCKED_BY, cause}, {'=', F.BLOCKED_UNTIL, math.max(row[F.BLOCKED_UNTIL], now + wait)}}
    end
    for _, one in ipairs{
        {'=', F.LAST_ERROR, told(account, problem.tenant, problem.error)}, {'=', F.LAST_ERROR_AT, now},
        {'+', F.ERRORS, 1}, {'=', F.UPDATED, now},
    } do
        table.insert(changes, one)
    end
    row = change(row, changes)
    if cause ~= 'transient' then
        health.abandon(account, provider, problem.token)
    end
    return row
end

-- As answered: the state of the breaker is that of now.
local function view(row, now)
    return row:update{{'=', F.BREAKER, health.state(row, now)}}
end

---Switch a provider on or off, give it a place among the others, set its breaker. What is not given stays.
---Switching on forgets what blocked it and closes the breaker.
---@param args {tenant: string, provider: string, enabled: boolean?, place: integer?, threshold: integer?,
---     window: number?, cooldown: number?}
---@return box.tuple of `lookup_provider`
function health.set(args)
    local now = clock.now()
    local row = row_of(args.tenant, args.provider, now)
    local changes = {{'=', F.UPDATED, now}}
    for name, field in pairs{enabled = F.ENABLED, place = F.PLACE, threshold = F.THRESHOLD, window = F.WINDOW,
        cooldown = F.COOLDOWN} do
        if args[name] ~= nil then
            table.insert(changes, {'=', field, args[name]})
        end
    end
    if args.enabled == true then
        for _, one in ipairs{
            {'=', F.BLOCKED_UNTIL, 0}, {'=', F.BLOCKED_BY, box.NULL}, {'=', F.BREAKER, 'closed'}, {'=', F.FAILURES, 0},
            {'=', F.PROBE, box.NULL}, {'=', F.PROBE_ENDS, 0},
        } do
            table.insert(changes, one)
        end
    end
    return view(change(row, changes), now)
end

---Every provider that a tenant has called or set, by name.
---@param args {tenant: string}
---@return box.tuple[]
function health.list(args)
    local now, rows = clock.now(), box.space.lookup_provider:select({args.tenant}, {limit = 100})
    for i, row in ipairs(rows) do
        rows[i] = view(row, now)
    end
    return rows
end

return health
