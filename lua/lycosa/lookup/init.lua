-- The gate: what outside knowledge costs is paid once and shared with everybody who asks.
--
-- `begin` decides in one transaction and never waits: an answer that is there, a lease for the one who buys it, the
-- advice to wait for him, or a denial. Rooms: leases know who buys, routing chooses the provider, health has the breakers,
-- waiting the followers.

local cache = require('lycosa.cache')
local clock = require('lycosa.core.clock')
local document = require('lycosa.document')
local errors = require('lycosa.core.errors')
local metrics = require('lycosa.core.metrics')
local quota = require('lycosa.quota')
local request = require('lycosa.request')
local health = require('lycosa.lookup.health')
local leases = require('lycosa.lookup.leases')
local routing = require('lycosa.lookup.routing')
local waiting = require('lycosa.lookup.waiting')
local fields = require('lycosa.lookup.fields')

local lookup = {
    set_provider = health.set, providers = health.list, steps = {leases.step}, configure = waiting.configure,
}

local F = fields.lease
-- A tag of what was bought: the request that paid for it.
local PAID_BY = 'request:'
local LONGEST_TAG, MOST_TAGS = 128, 16
-- Fields of a cache entry.
local CREATED, EXPIRES, TAGS = 6, 7, 10

local COUNTED = {
    hit = 'lookup.hit', stale = 'lookup.stale', lease = 'lookup.lease', pending = 'lookup.pending', denied = 'lookup.denied',
}

local function decision(outcome, more)
    metrics.count(COUNTED[outcome])
    more.outcome, more.skipped = outcome, more.skipped or {}
    return more
end

-- The caller buys it himself.
local function lead(lease, skipped)
    return decision('lease', {lease = lease, skipped = skipped, ticket = lease.ticket, ends_at = lease.ends_at})
end

-- How good an entry is for the caller.
local function usable(args, entry, now)
    if entry == nil then
        return nil
    end
    local age, most = now - entry[CREATED], args.max_age or math.huge
    if entry[EXPIRES] > now and (age < most or (args.since ~= nil and entry[CREATED] >= args.since)) then
        return 'hit'
    end
    return age < most + args.stale_for and 'stale' or nil
end

-- Whoever is served from the cache has asked, too: a row of history that points at the request which paid.
local function record(args, entry, on_disk)
    local asked = args.request
    if asked == nil then
        return
    end
    local sources, tags = {}, entry[TAGS]
    for i = 1, #tags do
        local tag = tags[i]
        if tag:sub(1, #PAID_BY) == PAID_BY then
            sources[1] = {kind = 'history', ref = tag:sub(#PAID_BY + 1), title = '', quote = ''}
        end
    end
    request.record({
        tenant = args.tenant, id = asked.id, customer_id = asked.customer_id, kind = asked.kind, status = 'done',
        question = args.question, cost_microusd = 0, tokens_in = 0, tokens_out = 0, cached = true, duration_ms = 0,
        sources = sources,
    }, on_disk)
end

local function serve(args, outcome, entry, on_disk, more)
    record(args, entry, on_disk)
    more.entry = entry
    return decision(outcome, more)
end

---What is on disk under the id of the request to be recorded. Runs before the transaction, for it waits for the disk.
---@param args {tenant: string, request: {id: string}?}
---@return table? as request.append takes it
function lookup.prepare(args)
    return args.request and request.look_up{tenant = args.tenant, id = args.request.id}
end

-- The decision itself, within a transaction. `ticket` is that of the lease that a follower waited for.
local function decide(args, ticket, on_disk)
    local now = clock.now()
    local entry = cache.get{tenant = args.tenant, key = args.key, stale = true}
    local found = usable(args, entry, now)
    if found == 'hit' then
        return serve(args, 'hit', entry, on_disk, {})
    end
    local held = leases.current(args.tenant, args.key, ticket, now)
    if held ~= nil and held[F.STATE] == 'leased' then
        if found == 'stale' then
            return serve(args, 'stale', entry, on_disk, {reason = 'refreshing'})
        end
        return decision('pending', {ticket = held[F.TICKET], ends_at = held[F.ENDS]})
    elseif held ~= nil then
        return decision('denied', {denial = held[F.DENIAL]})
    end
    local lease, skipped = leases.begin(args, found == 'stale', now)
    if found == 'stale' then
        return serve(args, 'stale', entry, on_disk, {lease = lease, skipped = skipped, reason = lease and 'stale' or 'denied'})
    elseif lease ~= nil then
        return lead(lease, skipped)
    end
    return decision('denied', {denial = routing.denial({}, skipped), skipped = skipped})
end

local function check_candidates(candidates)
    -- There are few, so comparing each with each costs less than a table of those seen.
    for i = 2, #candidates do
        local provider = candidates[i].provider
        for j = 1, i - 1 do
            if candidates[j].provider == provider then
                errors.raise('INVALID_ARGUMENT', {
                    argument = ('providers[%d].provider'):format(i), problem = 'is named twice',
                })
            end
        end
    end
end

---Decide who answers a question: the cache, the caller as the leader of a lease, the leader whom he waits for, or nobody.
---@param args table see lycosa.api.lookup
---@param on_disk table? what lookup.prepare gave
---@return table a LookupDecision
function lookup.begin(args, on_disk)
    check_candidates(args.providers)
    return decide(args, nil, on_disk)
end

---Wait for the leader: his answer, his denial, or his lease when it ended without either.
---@param args table as `begin`, with `ticket` of the lease that is followed, `wait` in seconds, and `since`: an answer
---     that was made after its caller asked is fresh to him, though he wants none that is older
---@return table a LookupDecision; still `pending` when the time was over
function lookup.await(args)
    check_candidates(args.providers)
    local on_disk = lookup.prepare(args)
    return waiting.follow(args.tenant, args.key, args.wait, function()
        box.begin()
        local ok, decided = pcall(decide, args, args.ticket, on_disk)
        if not ok then
            box.rollback()
            error(decided, 0)
        end
        box.commit()
        return decided
    end)
end

-- Do what may be left out without harm: nothing of it stays when it fails for want of memory.
local function attempt(run, argument)
    local savepoint = box.savepoint()
    local ok, answer = pcall(run, argument)
    if ok then
        return answer
    end
    box.rollback_to_savepoint(savepoint)
    if errors.parse(answer) ~= 'MEMORY_FULL' then
        error(answer, 0)
    end
    return nil
end

local function keep_answer(args)
    local tags, paid_by = {}, PAID_BY .. args.request.id
    for _, tag in ipairs(args.tags) do
        table.insert(tags, tag)
    end
    if #paid_by <= LONGEST_TAG and #tags < MOST_TAGS then
        table.insert(tags, paid_by)
    end
    return attempt(cache.set, {
        tenant = args.tenant, key = args.key, value = args.value, media_type = args.media_type, ttl = args.ttl,
        stale_for = args.stale_for, negative = args.negative, tags = tags,
    }) ~= nil
end

local function keep_documents(args)
    if #args.documents == 0 then
        return 0, box.NULL
    end
    local outcomes = attempt(document.put, {tenant = args.tenant, documents = args.documents})
    local kept, problem = 0, outcomes == nil and 'memory is full' or box.NULL
    for _, one in ipairs(outcomes or {}) do
        if one.outcome == 'invalid' then
            problem = ('%s %s'):format(one.field or 'a document', one.problem or 'is not valid')
        else
            kept = kept + 1
        end
    end
    return kept, problem
end

-- Close what the lease has reserved: spent as told when the provider charges, else given back.
local function close_reservation(args, row, is_charged)
    if row[F.RESERVATION] == nil then
        return
    elseif is_charged then
        quota.settle{tenant = leases.account(row), id = row[F.RESERVATION], amounts = args.amounts}
    else
        quota.refund{tenant = leases.account(row), id = row[F.RESERVATION]}
    end
end

---Store the leader's answer, settle what it cost, keep its sources, write history, close the breaker and the lease: one
---transaction. Raises LEASE_LOST. An answer for which there is no memory is paid for and recorded all the same.
---@param args table see lycosa.api.lookup
---@param on_disk table? what lookup.prepare gave
---@return {cached: boolean, kept: integer, problem: string?}
function lookup.finish(args, on_disk)
    local row = leases.held(args, clock.now())
    close_reservation(args, row, true)
    local asked = args.request
    asked.tenant, asked.question, asked.cached = args.tenant, row[F.QUESTION], false
    request.record(asked, on_disk)
    local cached = keep_answer(args)
    local kept, problem = keep_documents(args)
    health.success(leases.account(row), row[F.PROVIDER])
    leases.close(row)
    metrics.count('lookup.finished')
    return {cached = cached, kept = kept, problem = problem}
end

---Report that the provider failed. What was not charged goes back; the next provider gets the lease, or it is given up.
---Raises LEASE_LOST.
---@param args {tenant: string, key: string, token: string, cause: string, charged: boolean, amounts: table[],
---     error: string, retry_after: number?}
---@return table a LookupDecision: lease or denied
function lookup.fail(args)
    local now = clock.now()
    local row = leases.held(args, now)
    local account = leases.account(row)
    close_reservation(args, row, args.charged)
    metrics.count('lookup.failed')
    if args.cause == 'invalid' then
        -- The provider is well, the question is not: no other one would answer it.
        health.success(account, row[F.PROVIDER])
        local denial = {kind = 'invalid', reason = args.error}
        leases.give_up(row, denial, now)
        return decision('denied', {denial = denial})
    end
    health.failure(account, row[F.PROVIDER], args.cause, {
        error = args.error, retry_after = args.retry_after, token = args.token, tenant = args.tenant,
    })
    local lease, skipped = leases.next_provider(row, now)
    if lease ~= nil then
        return lead(lease, skipped)
    end
    local failed = {}
    for _, name in ipairs(row[F.TRIED]) do
        table.insert(failed, health.failed(account, name, now, args.tenant))
    end
    table.insert(failed, health.failed(account, row[F.PROVIDER], now, args.tenant))
    local denial = routing.denial(failed, skipped)
    leases.give_up(row, denial, now)
    return decision('denied', {denial = denial, skipped = skipped})
end

---Give a lease up without an answer and without blame: the caller went away. The next who waits leads.
---Raises LEASE_LOST.
---@param args {tenant: string, key: string, token: string, charged: boolean, amounts: table[]}
function lookup.release(args)
    local row = leases.held(args, clock.now())
    close_reservation(args, row, args.charged)
    health.abandon(leases.account(row), row[F.PROVIDER], args.token)
    leases.close(row)
end

return lookup
