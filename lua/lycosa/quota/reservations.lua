-- Reservations: units held until the true amount is known.
--
--     reserved --settle--> settled        reserved --lease ends--> unknown, or lapsed when nothing was counted
--     reserved --refund--> refunded       unknown, lapsed --settle, refund--> settled, refunded
--                                         unknown --reconcile--> reconciled
--
-- What a lease held goes back or stays by kind: slots go back when it ends, units of a rate never do, and the units
-- of a window or total that may have been spent count as `unknown` until somebody says what became of them. An end of
-- a lease takes effect at its moment, whether the step that writes it down has run or not.
--
-- The caller's id makes every call idempotent: repeating one answers what is stored, contradicting it is refused.

local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local cursor = require('lycosa.core.cursor')
local daemon = require('lycosa.core.daemon')
local errors = require('lycosa.core.errors')
local memory = require('lycosa.core.memory')
local metrics = require('lycosa.core.metrics')
local claims = require('lycosa.quota.claims')
local fields = require('lycosa.quota.fields')
local holds = require('lycosa.quota.holds')
local standing = require('lycosa.quota.standing')

local reservations = {}

-- Fields of `quota_reservation`.
local TENANT, ID, STATE, CREATED, LAPSES, CLOSED, CLAIMS, DUE = 1, 3, 4, 5, 6, 7, 8, 9
-- Of one of its claims. The generation is that of the limit in which the claim became unknown, null while it is not.
local C_QUOTA, C_KIND, C_AMOUNT, C_SETTLED, C_GENERATION = 1, 2, 3, 4, 5

local RATE, PERIODIC, SLOTS = fields.RATE, fields.PERIODIC, fields.SLOTS
local max, min = math.max, math.min

-- What is closed is kept this long, so that a repeated call finds its answer.
local KEEP_SECONDS = 86400
-- What is unknown is kept as long as a limit counts it, and looked at again after this long.
local KEEP_UNKNOWN_SECONDS = 90 * 86400

-- When the step will run next, as far as known: a lease that ends earlier wakes it.
local step_at = math.huge

local function is_counted(list)
    for i = 1, #list do
        if list[i][C_KIND] == PERIODIC then
            return true
        end
    end
    return false
end

-- The state at a moment: leases end by themselves.
local function state_at(row, now)
    local state = row[STATE]
    if state == 'reserved' and row[LAPSES] <= now then
        return is_counted(row[CLAIMS]) and 'unknown' or 'lapsed'
    end
    return state
end

-- As answered: the order is that of QuotaReservation.
local function view(row, now)
    return {row[ID], state_at(row, now), row[CREATED], row[LAPSES], row[CLOSED], row[CLAIMS]}
end

local function refuse_state(row, now, problem)
    errors.raise('QUOTA_RESERVATION_STATE', {id = row[ID], state = state_at(row, now), problem = problem})
end

-- The limit that a claim was made on, brought to `now`; nil when it is gone or another one has its name.
local function limit_of(tenant, claim, now)
    local key = {tenant, claim[C_QUOTA]}
    local row = box.space.quota_limit:get(key)
    if row == nil or row[fields.KIND] ~= claim[C_KIND] then
        return nil
    end
    return standing.counters(row, now, key)
end

-- Whether a limit still counts a claim as unknown: it does not when its window is over or it was reset.
local function is_unknown_to(s, claim)
    return s.kind == PERIODIC and claim[C_GENERATION] == (s.generation or s.row[fields.GENERATION])
end

-- Write down that a lease has ended.
local function lapse(row, now)
    local tenant, lapses_at, list = row[TENANT], row[LAPSES], row[CLAIMS]
    for i = 1, #list do
        local claim = list[i]
        local s = claim[C_KIND] ~= RATE and limit_of(tenant, claim, now)
        if s then
            holds.remove(tenant, claim[C_QUOTA], lapses_at, row[ID])
            local amount = tonumber(claim[C_AMOUNT])
            s.reserved = max(0, s.reserved - amount)
            if s.kind == PERIODIC and lapses_at > s.since then
                s.unknown = s.unknown + amount
                list[i][C_GENERATION] = s.generation or s.row[fields.GENERATION]
            end
            standing.save(s)
        end
    end
    local state = state_at(row, lapses_at)
    metrics.count('quota.' .. state)
    -- Unknown waits for somebody to say what became of it; lapsed is of no more use to anybody.
    local due = lapses_at + (state == 'unknown' and KEEP_UNKNOWN_SECONDS or KEEP_SECONDS)
    return box.space.quota_reservation:update({tenant, row[ID]}, {
        {'=', STATE, state}, {'=', CLAIMS, list}, {'=', DUE, due},
    })
end

---Write down that a reservation's lease has ended: it has.
---@param tenant string
---@param id string
---@param now number
function reservations.lapse_one(tenant, id, now)
    lapse(box.space.quota_reservation:get{tenant, id}, now)
end

-- Whether they are the claims that are stored, in whatever order.
local function is_same_claims(stored, wanted)
    local amounts = {}
    for i = 1, #stored do
        amounts[stored[i][C_QUOTA]] = tonumber(stored[i][C_AMOUNT])
    end
    for i = 1, #wanted do
        if amounts[wanted[i].quota] ~= wanted[i].amount then
            return false
        end
        amounts[wanted[i].quota] = nil
    end
    return next(amounts) == nil
end

local function repeated(row, args)
    local now = clock.now()
    if not is_same_claims(row[CLAIMS], args.claims) then
        errors.raise('QUOTA_RESERVATION_EXISTS', {id = args.id})
    elseif state_at(row, now) ~= 'reserved' then
        refuse_state(row, now, 'and cannot be reserved again; use a new id')
    end
    return view(row, now)
end

---Hold units of every named limit for a time, all or nothing.
---@param args {tenant: string, id: string, claims: {quota: string, amount: number}[], lease: number}
---@return table a QuotaReservation
function reservations.reserve(args)
    local tenant, id, wanted = args.tenant, args.id, args.claims
    local stored = box.space.quota_reservation:get{tenant, id}
    if stored ~= nil then
        return repeated(stored, args)
    end
    memory.admit('quota_reservation', 'quota', 512 * (1 + #wanted))
    local standings = claims.admit(tenant, wanted, true)
    local now = clock.now()
    local lapses_at, list = now + args.lease, {}
    for i = 1, #wanted do
        local kind = standings[i].kind
        list[i] = {wanted[i].quota, kind, wanted[i].amount, box.NULL, box.NULL}
        if kind ~= RATE then
            holds.add(tenant, wanted[i].quota, lapses_at, id, wanted[i].amount)
        end
    end
    local row = box.space.quota_reservation:insert{
        tenant, bucket.of(tenant), id, 'reserved', now, lapses_at, box.NULL, list, lapses_at,
    }
    -- A step that should have run by now sleeps by a clock that has since been put forward.
    if lapses_at < step_at or step_at <= now then
        step_at = lapses_at
        daemon.wake('quota.lapse')
    end
    return view(row, now)
end

-- The amount of every claim that was really spent: as told, else as reserved. A refund tells nothing of any.
local function spent_amounts(row, given, refunded)
    local told = {}
    for i, amount in ipairs(given) do
        if told[amount.quota] ~= nil then
            errors.raise('INVALID_ARGUMENT', {
                argument = ('amounts[%d].quota'):format(i), problem = 'is told twice',
            })
        end
        told[amount.quota] = i
    end
    local spent, list = {}, row[CLAIMS]
    for i = 1, #list do
        local claim = list[i]
        local position, kind = told[claim[C_QUOTA]], claim[C_KIND]
        told[claim[C_QUOTA]] = nil
        if position ~= nil and kind == SLOTS then
            errors.raise('INVALID_ARGUMENT', {
                argument = ('amounts[%d].quota'):format(position), problem = 'counts slots, which go back as they are',
            })
        end
        spent[i] = position and given[position].amount or (refunded and kind == PERIODIC) and 0
            or tonumber(claim[C_AMOUNT])
    end
    local _, position = next(told)
    if position ~= nil then
        errors.raise('INVALID_ARGUMENT', {
            argument = ('amounts[%d].quota'):format(position), problem = 'is not part of the reservation',
        })
    end
    return spent
end

-- Move what a claim held to what it spent.
local function close_claim(row, claim, spent, now)
    local s = limit_of(row[TENANT], claim, now)
    if s == nil then
        return
    end
    local amount, is_open = tonumber(claim[C_AMOUNT]), row[STATE] == 'reserved'
    if s.kind == RATE then
        if spent <= amount then
            return
        end
        s.used = min(fields.MOST, s.used + spent - amount)
    elseif is_open then
        holds.remove(row[TENANT], claim[C_QUOTA], row[LAPSES], row[ID])
        s.reserved = max(0, s.reserved - amount)
        if s.kind == PERIODIC then
            s.used = min(fields.MOST, s.used + spent)
        end
    elseif is_unknown_to(s, claim) then
        s.unknown = max(0, s.unknown - amount)
        s.used = min(fields.MOST, s.used + spent)
    else
        -- A slot that went back, or units of a window that is over.
        return
    end
    standing.save(s)
end

-- Which states a reservation can be closed from, by the state that it shall have.
local FROM = {
    settled = {reserved = true, unknown = true, lapsed = true},
    refunded = {reserved = true, unknown = true, lapsed = true},
    reconciled = {unknown = true},
}

local PROBLEMS = {
    reserved = 'and not reconciled before its lease ends; settle or refund it',
    lapsed = 'and holds nothing to reconcile',
}

local function answer_closed(row, spent, state, now)
    local same = row[STATE] == state
    for i, claim in ipairs(row[CLAIMS]) do
        same = same and tonumber(claim[C_SETTLED]) == spent[i]
    end
    if not same then
        refuse_state(row, now, 'with another outcome')
    end
    return view(row, now)
end

local function close(args, state)
    local space, now = box.space.quota_reservation, clock.now()
    local row = space:get{args.tenant, args.id}
    if row == nil then
        errors.raise('QUOTA_RESERVATION_NOT_FOUND', {id = args.id})
    end
    local spent = spent_amounts(row, args.amounts or {}, state == 'refunded')
    if row[CLOSED] ~= nil then
        return answer_closed(row, spent, state, now)
    elseif not FROM[state][state_at(row, now)] then
        refuse_state(row, now, PROBLEMS[state_at(row, now)])
    end
    if row[STATE] == 'reserved' and row[LAPSES] <= now then
        row = lapse(row, now)
    end
    local list = row[CLAIMS]
    for i = 1, #list do
        close_claim(row, list[i], spent[i], now)
        list[i][C_SETTLED] = spent[i]
    end
    row = space:update({args.tenant, args.id}, {
        {'=', STATE, state}, {'=', CLOSED, now}, {'=', CLAIMS, list}, {'=', DUE, now + KEEP_SECONDS},
    })
    return view(row, now)
end

---Close a reservation with what was really spent. More than was reserved is counted, too: it is a fact.
---@param args {tenant: string, id: string, amounts: {quota: string, amount: number}[]}
---@return table a QuotaReservation
function reservations.settle(args)
    return close(args, 'settled')
end

---Close a reservation of which nothing was spent.
---@param args {tenant: string, id: string}
---@return table a QuotaReservation
function reservations.refund(args)
    return close(args, 'refunded')
end

---Say what became of a reservation whose lease has ended.
---@param args {tenant: string, id: string, amounts: {quota: string, amount: number}[]}
---@return table a QuotaReservation
function reservations.reconcile(args)
    return close(args, 'reconciled')
end

---One reservation. Raises QUOTA_RESERVATION_NOT_FOUND.
---@param args {tenant: string, id: string}
---@return table a QuotaReservation
function reservations.get(args)
    local row = box.space.quota_reservation:get{args.tenant, args.id}
    if row == nil then
        errors.raise('QUOTA_RESERVATION_NOT_FOUND', {id = args.id})
    end
    return view(row, clock.now())
end

local function inside(tuple, scan)
    return tuple[STATE] == scan.anchor[2] and tuple[TENANT] == scan.anchor[1]
end

---A page of the reservations stored in one state, those whose lease ends first at the top.
---@param args {tenant: string, state: string, cursor: string?, limit: integer}
---@return {rows: table[], next: string?, previous: string?}
function reservations.list(args)
    local anchor, now = {args.tenant, args.state}, clock.now()
    local rows, next_text, previous_text = cursor.page({
        index = box.space.quota_reservation.index.state, anchor = anchor, first = anchor, last = anchor,
        last_inclusive = true, fields = {LAPSES, ID}, kinds = {'number', 'string'}, inside = inside,
        descending = false, fingerprint = cursor.fingerprint{'quota_reservation', args.tenant, args.state},
    }, args.cursor, args.limit)
    for i = 1, #rows do
        rows[i] = view(rows[i], now)
    end
    return {rows = rows, next = next_text or box.NULL, previous = previous_text or box.NULL}
end

local function is_counted_now(row, now)
    for _, claim in ipairs(row[CLAIMS]) do
        local s = limit_of(row[TENANT], claim, now)
        if s and is_unknown_to(s, claim) then
            return true
        end
    end
    return false
end

-- Write down which leases have ended and forget what is of no account any more: at most `limit` reservations, one transaction.
---@param limit integer
---@return boolean more
---@return number? next_due unix seconds
local function run(limit)
    local space, now = box.space.quota_reservation, clock.now()
    local due = space.index.due
    box.begin()
    for _, row in ipairs(due:select({}, {limit = limit})) do
        if row[DUE] > now then
            break
        elseif row[STATE] == 'reserved' then
            lapse(row, now)
        elseif row[STATE] == 'unknown' and is_counted_now(row, now) then
            space:update({row[TENANT], row[ID]}, {{'=', DUE, now + KEEP_UNKNOWN_SECONDS}})
        else
            space:delete{row[TENANT], row[ID]}
        end
    end
    box.commit()
    local first = due:min()
    step_at = first and first[DUE] or math.huge
    return step_at <= now, first and step_at or nil
end

reservations.step = {name = 'quota.lapse', run = run, limit = 50}

return reservations
