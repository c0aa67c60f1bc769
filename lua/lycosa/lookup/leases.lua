-- Leases: one caller at a time buys the answer to a key.
--
--     (none) --begin--> leased --finish--> (none; the answer is in the cache)
--     leased --fail--> leased, with the next provider      leased --release--> (none)
--     leased --fail, none left--> failed --a moment later--> (none)
--     leased --its time ends--> (none): the next who asks leads; what was reserved becomes unknown by itself
--
-- A lease belongs to its token. The ticket is its public name: by it followers know the failure that concerns them.
--
-- Who asks and who pays may be two tenants: the lease stands with the one who asks, reservations and providers with the
-- account. Tokens are random, and so are the ids of reservations made of them: no two of an account are equal, whoever asks.

local digest = require('digest')
local bucket = require('lycosa.core.bucket')
local daemon = require('lycosa.core.daemon')
local clock = require('lycosa.core.clock')
local errors = require('lycosa.core.errors')
local memory = require('lycosa.core.memory')
local metrics = require('lycosa.core.metrics')
local health = require('lycosa.lookup.health')
local routing = require('lycosa.lookup.routing')
local waiting = require('lycosa.lookup.waiting')
local F = require('lycosa.lookup.fields').lease

local leases = {}

-- How long followers can learn that it failed.
local FAILED_SECONDS = 5

local function random_name()
    return digest.urandom(16):hex()
end

---The lease of a key as far as it concerns somebody: one that runs, or the failed one that he followed.
---@param tenant string
---@param key string
---@param ticket string? of the lease that the caller follows
---@param now number
---@return box.tuple?
function leases.current(tenant, key, ticket, now)
    local row = box.space.lookup_lease:get{tenant, key}
    if row == nil or row[F.ENDS] <= now or (row[F.STATE] == 'failed' and row[F.TICKET] ~= ticket) then
        return nil
    end
    return row
end

---Whose the quotas and the breakers are that a lease uses.
---@param row box.tuple
---@return string tenant
function leases.account(row)
    return row[F.ACCOUNT] or row[F.TENANT]
end

---The lease as its leader sees it.
---@param row box.tuple
---@param reason string why this provider
---@return table a LookupLease
function leases.view(row, reason)
    return {
        token = row[F.TOKEN], ticket = row[F.TICKET], provider = row[F.PROVIDER], attempt = row[F.ATTEMPT],
        reservation_id = row[F.RESERVATION], ends_at = row[F.ENDS], refresh = row[F.REFRESH], reason = reason,
    }
end

---Begin a lease in place of one that has ended, with the first provider that can be had.
---@param args {tenant: string, account: string?, key: string, question: string, providers: lycosa.LookupCandidate[],
---     lease: number}
---@param refresh boolean whether the caller has been given a stale answer meanwhile
---@param now number
---@return table? a LookupLease; nil when nobody can be asked
---@return table[] skipped who was passed over
function leases.begin(args, refresh, now)
    local token = random_name()
    local lease = {token = token, id = token .. ':1', ends_at = now + args.lease}
    memory.admit('lookup_lease', 'lookup', 1024 + #args.key + #args.question)
    local chosen, skipped = routing.choose(args.account or args.tenant, args.providers, {}, lease, now)
    if chosen == nil then
        return nil, skipped
    end
    local row = box.space.lookup_lease:replace{
        args.tenant, bucket.of(args.tenant), args.key, 'leased', token, random_name(), lease.ends_at, args.question,
        args.providers, {}, 1, chosen.provider, chosen.reservation_id, refresh, box.NULL,
        args.account ~= args.tenant and args.account or nil,
    }
    daemon.wake('lookup.forget')
    return leases.view(row, chosen.reason), skipped
end

---The running lease of a token. Raises LEASE_LOST when it has ended, was finished, or is somebody else's.
---@param args {tenant: string, key: string, token: string}
---@param now number
---@return box.tuple
function leases.held(args, now)
    local row = box.space.lookup_lease:get{args.tenant, args.key}
    if row == nil or row[F.STATE] ~= 'leased' or row[F.TOKEN] ~= args.token or row[F.ENDS] <= now then
        metrics.count('lookup.lost')
        errors.raise('LEASE_LOST', {key = args.key})
    end
    return row
end

---End a lease whose answer is there or that is given up, and wake who follows it.
---@param row box.tuple
function leases.close(row)
    box.space.lookup_lease:delete{row[F.TENANT], row[F.KEY]}
    waiting.ring(row[F.TENANT], row[F.KEY])
end

---Hand a lease to the next provider that has not failed it.
---@param row box.tuple
---@param now number
---@return table? a LookupLease; nil when there is none
---@return table[] skipped
function leases.next_provider(row, now)
    local tried, names = {}, row[F.TRIED]
    table.insert(names, row[F.PROVIDER])
    for _, name in ipairs(names) do
        tried[name] = true
    end
    local attempt = row[F.ATTEMPT] + 1
    local lease = {token = row[F.TOKEN], id = ('%s:%d'):format(row[F.TOKEN], attempt), ends_at = row[F.ENDS]}
    local chosen, skipped = routing.choose(leases.account(row), row[F.CANDIDATES], tried, lease, now)
    if chosen == nil then
        return nil, skipped
    end
    row = box.space.lookup_lease:update({row[F.TENANT], row[F.KEY]}, {
        {'=', F.TRIED, names}, {'=', F.ATTEMPT, attempt}, {'=', F.PROVIDER, chosen.provider},
        {'=', F.RESERVATION, chosen.reservation_id},
    })
    return leases.view(row, 'fallback'), skipped
end

---Give a lease up for good: its followers learn why, everybody else may begin anew.
---@param row box.tuple
---@param denial table a LookupDenial
---@param now number
function leases.give_up(row, denial, now)
    box.space.lookup_lease:update({row[F.TENANT], row[F.KEY]}, {
        {'=', F.STATE, 'failed'}, {'=', F.DENIAL, denial}, {'=', F.ENDS, now + FAILED_SECONDS},
        {'=', F.RESERVATION, box.NULL},
    })
    health.abandon(leases.account(row), row[F.PROVIDER], row[F.TOKEN])
    waiting.ring(row[F.TENANT], row[F.KEY])
end

-- Forget leases that have ended: at most `limit`, one transaction.
---@param limit integer
---@return boolean more
---@return number? next_due unix seconds
local function forget(limit)
    local index, now = box.space.lookup_lease.index['end'], clock.now()
    box.begin()
    for _, row in ipairs(index:select({}, {limit = limit})) do
        if row[F.ENDS] > now then
            break
        end
        box.space.lookup_lease:delete{row[F.TENANT], row[F.KEY]}
    end
    box.commit()
    local first = index:min()
    return first ~= nil and first[F.ENDS] <= now, first and first[F.ENDS] or nil
end

leases.step = {name = 'lookup.forget', run = forget, limit = 100}

return leases
