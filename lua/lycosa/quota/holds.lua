-- What reservations hold of limits: a row for each claim, in order of the moment at which its lease ends.
--
-- The step that moves ended leases may be late. So whoever reads a limit asks here what has lapsed and not been moved.

local bucket = require('lycosa.core.bucket')

local holds = {}

-- Fields of `quota_hold`.
local TENANT, QUOTA, LAPSES, AMOUNT = 1, 3, 4, 6

-- The step keeps the number of lapsed rows near zero. A look that meets more of them counts the rest as held.
local MOST_LOOKED_AT = 10000

local NEXT = {iterator = 'GT', limit = 1}

---@param tenant string
---@param quota string
---@param lapses_at number unix seconds
---@param id string the reservation's
---@param amount number
function holds.add(tenant, quota, lapses_at, id, amount)
    box.space.quota_hold:insert{tenant, bucket.of(tenant), quota, lapses_at, id, amount}
end

---@param tenant string
---@param quota string
---@param lapses_at number
---@param id string the reservation's
function holds.remove(tenant, quota, lapses_at, id)
    box.space.quota_hold:delete{tenant, quota, lapses_at, id}
end

---The hold of a limit whose lease ends first, nil when nothing is held.
---@param tenant string
---@param quota string
---@return number? lapses_at
---@return string? id of the reservation
function holds.first(tenant, quota)
    local row = box.space.quota_hold.index.lapse:min{tenant, quota}
    if row ~= nil then
        return row[LAPSES], row[5]
    end
end

---Amounts of a limit whose lease has ended and that still stand as reserved. Reads no further than those.
---@param tenant string
---@param quota string
---@param now number
---@param since number unix seconds
---@return number lapsed all of them
---@return number counted those whose lease ended after `since`
function holds.lapsed(tenant, quota, now, since)
    local index = box.space.quota_hold.index.lapse
    local first = index:min{tenant, quota}
    if first == nil or first[LAPSES] > now then
        return 0, 0
    end
    local lapsed, counted, looked_at = 0, 0, 0
    for _, row in index:pairs({tenant, quota}, {iterator = box.index.EQ}) do
        looked_at = looked_at + 1
        if row[LAPSES] > now or looked_at > MOST_LOOKED_AT then
            break
        end
        local amount = tonumber(row[AMOUNT])
        lapsed = lapsed + amount
        if row[LAPSES] > since then
            counted = counted + amount
        end
    end
    return lapsed, counted
end

---The moment at which the next lease of a limit ends, nil when none runs.
---@param tenant string
---@param quota string
---@param now number
---@return number? lapses_at
function holds.next_lapse(tenant, quota, now)
    local row = box.space.quota_hold.index.lapse:select({tenant, quota, now}, NEXT)[1]
    if row ~= nil and row[TENANT] == tenant and row[QUOTA] == quota then
        return row[LAPSES]
    end
end

return holds
