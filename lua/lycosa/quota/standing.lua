-- Where a limit stands at a moment: what is left of it, whatever has not been moved yet.
--
-- A stored row is as the last write left it. Since then a window may have ended, units may have flowed off and leases
-- may have lapsed. `at` works all of that out without writing, so every decision and every report is right at once;
-- `save` writes back what a decision changed.
--
-- The rules, by kind. rate: `used` counts units since the anchor `since`. slots: `reserved` counts what is held; a
-- lapsed lease holds nothing. window: `used`, `reserved` and `unknown` count alike; a reservation belongs to every
-- window it was open in, so a new window begins with what is still open, and `unknown` means a lease that ended in
-- this one, after `since`. The generation changes whenever what is unknown is forgotten, so that whoever makes it known
-- later can tell whether it still counts.

local fields = require('lycosa.quota.fields')
local gcra = require('lycosa.quota.gcra')
local holds = require('lycosa.quota.holds')
local windows = require('lycosa.quota.windows')
local write_only = require('lycosa.core.write_only')

local standing = {}

local KIND, AMOUNT, PERIOD, BURST = 4, 5, 9, 10
local USED, RESERVED, UNKNOWN, SINCE, ENDS, NEAR, SHADOWED, GENERATION = 16, 17, 18, 19, 20, 21, 22, 23
local RATE, PERIODIC = fields.RATE, fields.PERIODIC
local MOST, NEVER = fields.MOST, fields.NEVER
local ceil, max, min = math.ceil, math.max, math.min

-- A slot may come back at any moment, long before the lease that holds it ends.
local SLOT_RETRY_SECONDS = 1
-- Twice what a moment of our days is rounded by as a number, so that a wait is never too short.
local ROUNDING = 5e-7

---@class lycosa.QuotaStanding
---@field row box.tuple may be borrowed: it is not read once it has been written back
---@field key string[] of the row: tenant and quota
---@field kind string
---@field limit number the most: the amount, the burst of a rate
---@field amount number of a rate: units of a period
---@field period number of a rate: seconds
---@field used number to be stored
---@field reserved number to be stored; lapsed leases that the step has not moved included
---@field unknown number to be stored
---@field since number
---@field ends number
---@field lapsed number of `reserved`: leases that have ended
---@field counted number of `lapsed`: those that ended in this window
---@field taken number what counts against the limit now
---@field left number whole units; negative when more was taken than there is
---@field near number? to be stored where it has changed
---@field shadowed number? to be stored where it has changed
---@field generation number? to be stored where it has changed
---@field marked boolean whether `charge` changed more than one counter

---An empty one. Decisions fill the same ones again and again: making them anew would cost as much as all else.
---@return lycosa.QuotaStanding
function standing.new()
    return {
        row = box.NULL, key = {'', ''}, kind = '', limit = 0, amount = 0, period = 0, used = 0, reserved = 0, unknown = 0,
        since = 0, ends = 0, lapsed = 0, counted = 0, taken = 0, left = 0, marked = false,
        near = box.NULL, shadowed = box.NULL, generation = box.NULL,
    }
end

---The stored counters, brought to `now`; without a look at leases: for changes that need no decision.
---@param row box.tuple of `quota_limit`
---@param now number
---@param key string[] of the row
---@param into lycosa.QuotaStanding? to be filled; a new one when absent
---@return lycosa.QuotaStanding
function standing.counters(row, now, key, into)
    local s = into or standing.new()
    local kind = row[KIND]
    s.row, s.key, s.kind, s.limit, s.used, s.since = row, key, kind, tonumber(row[AMOUNT]), tonumber(row[USED]), row[SINCE]
    s.lapsed, s.counted, s.taken, s.left, s.marked = 0, 0, 0, 0, false
    s.near, s.shadowed, s.generation = nil, nil, nil
    -- Reading a field costs a tenth of a microsecond and more, so each kind reads what it needs.
    if kind == RATE then
        s.amount, s.period = s.limit, row[PERIOD]
        s.used, s.since, s.taken = gcra.flow(s.used, s.since, s.amount, s.period, now)
        s.limit, s.reserved, s.unknown, s.ends = tonumber(row[BURST]), 0, 0, NEVER
        return s
    end
    s.reserved, s.unknown, s.ends = tonumber(row[RESERVED]), tonumber(row[UNKNOWN]), row[ENDS]
    if now >= s.ends and kind == PERIODIC then
        s.since, s.ends = windows.bounds(row[fields.WINDOW], row[fields.OFFSETS], now)
        s.used, s.unknown, s.generation, s.marked = 0, 0, row[GENERATION] + 1, true
    end
    return s
end

---A limit at a moment, in full.
---@param row box.tuple of `quota_limit`
---@param now number
---@param key string[] of the row
---@param into lycosa.QuotaStanding? to be filled; a new one when absent
---@return lycosa.QuotaStanding
function standing.at(row, now, key, into)
    local s = standing.counters(row, now, key, into)
    if s.kind == RATE then
        s.left = gcra.left(s.taken, s.limit)
        return s
    end
    if s.reserved > 0 then
        s.lapsed, s.counted = holds.lapsed(key[1], key[2], now, s.since)
    end
    s.taken = s.used + s.reserved - s.lapsed
    if s.kind == PERIODIC then
        s.taken = s.taken + s.counted + s.unknown
    end
    s.left = s.limit - s.taken
    return s
end

---Whether 80 % are taken.
---@param s lycosa.QuotaStanding
---@return boolean
function standing.is_near(s)
    return s.taken * 5 >= s.limit * 4
end

---Count a claim that was let through.
---@param s lycosa.QuotaStanding
---@param amount number
---@param held boolean whether a reservation holds it
---@param now number
function standing.charge(s, amount, held, now)
    if s.kind == RATE or not held then
        s.used = min(MOST, s.used + amount)
    else
        s.reserved = s.reserved + amount
        if s.kind == PERIODIC and now < s.since then
            -- The clock has gone back. The lease counts in this window, even when it ends before the window began.
            s.since, s.marked = now, true
        end
    end
    s.taken, s.left = s.taken + amount, s.left - amount
    if standing.is_near(s) then
        s.near, s.marked = s.row[NEAR] + 1, true
    end
end

---Seconds until `amount` units may be there again; nil when waiting does not help. At least a millisecond.
---@param s lycosa.QuotaStanding
---@param amount number
---@param now number
---@return number?
function standing.wait(s, amount, now)
    local seconds
    if amount > s.limit then
        return nil
    elseif s.kind == RATE then
        seconds = ROUNDING + gcra.wait(s.used, s.since, s.amount, s.period, s.limit, amount, now)
    elseif s.kind == PERIODIC then
        if s.ends == NEVER then
            return nil
        end
        seconds = s.ends - now
    else
        local lapse = holds.next_lapse(s.key[1], s.key[2], now)
        seconds = min(SLOT_RETRY_SECONDS, lapse and lapse - now or SLOT_RETRY_SECONDS)
    end
    return max(1, ceil(seconds * 1000)) / 1000
end

---When a rate is whole again or the window ends; nil where time alone changes nothing.
---@param s lycosa.QuotaStanding
---@return number? unix seconds
function standing.reset_at(s)
    if s.kind == RATE then
        return s.used > 0 and s.since + s.used * s.period / s.amount or nil
    elseif s.kind == PERIODIC and s.ends ~= NEVER then
        return s.ends
    end
end

-- Made once: an update builds no tables of its own. Nothing yields between filling and use.
local every = {
    {'=', USED, 0}, {'=', RESERVED, 0}, {'=', UNKNOWN, 0}, {'=', SINCE, 0}, {'=', ENDS, 0}, {'=', NEAR, 0},
    {'=', SHADOWED, 0}, {'=', GENERATION, 0},
}

---Write the counters back.
---@param s lycosa.QuotaStanding
---@return box.tuple
function standing.save(s)
    every[1][3], every[2][3], every[3][3] = s.used, s.reserved, s.unknown
    every[4][3], every[5][3] = s.since, s.ends
    every[6][3], every[7][3] = s.near or s.row[NEAR], s.shadowed or s.row[SHADOWED]
    every[8][3] = s.generation or s.row[GENERATION]
    return box.space.quota_limit:update(s.key, every)
end

---Write back what `charge` changed.
---@param s lycosa.QuotaStanding
---@param held boolean as given to `charge`
function standing.save_charge(s, held)
    local space, key = box.space.quota_limit, s.key
    if s.marked then
        standing.save(s)
    elseif s.kind == RATE then
        write_only.assign(space, key[1], key[2], USED, s.used, SINCE, s.since)
    elseif held then
        write_only.assign(space, key[1], key[2], RESERVED, s.reserved)
    else
        write_only.assign(space, key[1], key[2], USED, s.used)
    end
end

return standing
