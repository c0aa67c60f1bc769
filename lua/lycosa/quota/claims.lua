-- Claims on limits, decided all or nothing.

local borrowed = require('lycosa.core.borrowed')
local clock = require('lycosa.core.clock')
local errors = require('lycosa.core.errors')
local metrics = require('lycosa.core.metrics')
local fields = require('lycosa.quota.fields')
local standing = require('lycosa.quota.standing')

local claims = {}

local SHADOW, SHADOWED = fields.SHADOW, fields.SHADOWED

-- A limit's row, borrowed.
local function find(tenant, quota)
    local row = borrowed.find(box.space.quota_limit.index.quota, tenant, quota)
    if row == nil then
        errors.raise('QUOTA_UNKNOWN', {quota = quota})
    end
    return row
end

---A limit's row. Raises QUOTA_UNKNOWN.
---@param tenant string
---@param quota string
---@return box.tuple of `quota_limit`
function claims.limit(tenant, quota)
    return borrowed.own(find(tenant, quota))
end

local function refuse_argument(position, problem)
    errors.raise('INVALID_ARGUMENT', {argument = ('claims[%d].quota'):format(position), problem = problem})
end

-- Filled by every decision; nothing yields between a decision and the use of what it found.
local standings = {}
for i = 1, fields.MAX_CLAIMS do
    standings[i] = standing.new()
end

-- Here and below the first claim, mostly the only one, is decided outside of the loop: the compiler gives up a loop of one
-- turn, and with it whatever is around it.

-- Where the limit of a claim stands.
local function look_at(i, tenant, claim, held, now)
    local s = standings[i]
    local key = s.key
    key[1], key[2] = tenant, claim.quota
    standing.at(find(tenant, claim.quota), now, key, s)
    if s.kind == fields.SLOTS and not held then
        refuse_argument(i, 'counts slots, which are held for a time: reserve them')
    elseif s.used + s.reserved + s.unknown + claim.amount > fields.MOST then
        refuse_argument(i, 'has counted more than can be counted exactly: reset it')
    end
end

local function check_once(wanted, position)
    for i = 1, position - 1 do
        if wanted[i].quota == wanted[position].quota then
            refuse_argument(position, 'is claimed twice')
        end
    end
end

local function look(tenant, wanted, held, now)
    look_at(1, tenant, wanted[1], held, now)
    for i = 2, #wanted do
        check_once(wanted, i)
        look_at(i, tenant, wanted[i], held, now)
    end
end

-- Refuse with the claim that has to wait longest, so that whoever waits so long is not refused by another one then.
local function refuse(wanted, now)
    local worst, longest
    for i = 1, #wanted do
        local s, amount = standings[i], wanted[i].amount
        if amount > s.left and not s.row[SHADOW] then
            local seconds = standing.wait(s, amount, now)
            if worst == nil or longest ~= nil and (seconds == nil or seconds > longest) then
                worst, longest = i, seconds
            end
        end
    end
    local s = standings[worst]
    metrics.count('quota.refused')
    errors.raise('QUOTA_EXCEEDED', {
        quota = wanted[worst].quota, left = math.max(0, s.left), limit = s.limit, amount = wanted[worst].amount,
        scale = s.row[fields.SCALE], retry_after = longest,
    })
end

local function is_refused(i, amount)
    local s = standings[i]
    return amount > s.left and not s.row[SHADOW]
end

local function count(i, amount, held, now)
    local s = standings[i]
    local beyond = amount > s.left
    if beyond then
        s.shadowed, s.marked = s.row[SHADOWED] + 1, true
        metrics.count('quota.shadowed')
    end
    if not beyond or s.kind ~= fields.RATE then
        standing.charge(s, amount, held, now)
    end
    standing.save_charge(s, held)
end

---Count every claim, or none and raise QUOTA_EXCEEDED. A limit in shadow mode refuses nothing: a claim beyond it is
---marked and counted all the same, but for rates, whose bucket would never recover.
---@param tenant string
---@param wanted {quota: string, amount: number}[]
---@param held boolean whether a reservation will hold them
---@return lycosa.QuotaStanding[] after it, in the order of the claims; valid until the next decision
function claims.admit(tenant, wanted, held)
    local now = clock.now()
    look(tenant, wanted, held, now)
    local refused = is_refused(1, wanted[1].amount)
    for i = 2, #wanted do
        refused = refused or is_refused(i, wanted[i].amount)
    end
    if refused then
        refuse(wanted, now)
    end
    count(1, wanted[1].amount, held, now)
    for i = 2, #wanted do
        count(i, wanted[i].amount, held, now)
    end
    return standings
end

local function state(i, quota)
    local s = standings[i]
    return {quota, math.max(0, s.left), s.limit, standing.is_near(s), standing.reset_at(s) or box.NULL}
end

---Take units from every named limit, all or nothing.
---@param args {tenant: string, claims: {quota: string, amount: number}[]}
---@return table[] a QuotaState for every claim, in their order
function claims.take(args)
    local wanted = args.claims
    claims.admit(args.tenant, wanted, false)
    local states = {state(1, wanted[1].quota)}
    for i = 2, #wanted do
        states[i] = state(i, wanted[i].quota)
    end
    return states
end

---Many takes, each decided alone in their order. One that is refused changes nothing and undoes no other.
---@param args {tenant: string, takes: {quota: string, amount: number}[][]}
---@return table[] {states, null} or {null, text of the error} for every take
function claims.take_many(args)
    local takes, one, outcomes = args.takes, {tenant = args.tenant}, {}
    for i = 1, #takes do
        one.claims = takes[i]
        local ok, answer = pcall(claims.take, one)
        if ok then
            outcomes[i] = {answer, box.NULL}
        elseif errors.parse(answer) ~= nil then
            outcomes[i] = {box.NULL, tostring(answer)}
        else
            error(answer, 0)
        end
    end
    return outcomes
end

---Whether the units are there, but 80 % of one of the limits are taken; of rates it is nothing to be saved. Raises
---QUOTA_UNKNOWN.
---@param tenant string
---@param wanted {quota: string, amount: number}[]
---@return boolean
function claims.is_near(tenant, wanted)
    local now, near = clock.now(), false
    for i = 1, #wanted do
        local s = standings[i]
        s.key[1], s.key[2] = tenant, wanted[i].quota
        standing.at(find(tenant, wanted[i].quota), now, s.key, s)
        if wanted[i].amount > s.left then
            return false
        end
        near = near or (s.kind ~= fields.RATE and standing.is_near(s))
    end
    return near
end

return claims
