-- The generic cell rate algorithm in whole units.
--
-- Usually it keeps a theoretical arrival time and adds emission intervals to it, and so adds up their rounding. Here
-- the same time is kept as a sum that is exact: a busy period began at `anchor`, and `units` were taken since, so the
-- theoretical arrival time is anchor + units * period / amount. What is owed at a moment, the level, is units less what
-- has flowed off since the anchor. The bucket takes more while the level stays within the burst.
--
-- Neither a clock that goes back nor one that stands still gives units back: they are only ever added, and before the
-- anchor nothing flows off.

local gcra = {}

local floor, ceil, max = math.floor, math.ceil, math.max

-- A period that never ends begins anew before its count loses precision.
local REBASE_ABOVE = 2 ^ 45

---Where a busy period stands, begun anew when everything has flowed off.
---@param units number taken since the anchor
---@param anchor number unix seconds
---@param amount number units that flow off in a period
---@param period number seconds
---@param now number
---@return number units
---@return number anchor
---@return number level units owed, not rounded
function gcra.flow(units, anchor, amount, period, now)
    local gone = max(0, now - anchor) * amount / period
    if gone >= units then
        return 0, max(anchor, now), 0
    elseif units > REBASE_ABOVE and now > anchor then
        units = ceil(units - gone)
        return units, now, units
    end
    return units, anchor, units - gone
end

---Whole units that may be taken now.
---@param level number
---@param burst number
---@return number negative when more is owed than the burst
function gcra.left(level, burst)
    return floor(burst - level)
end

---Seconds until `wanted` units may be taken, 0 when they may be now.
---@param units number
---@param anchor number
---@param amount number
---@param period number
---@param burst number
---@param wanted number at most the burst
---@param now number
---@return number
function gcra.wait(units, anchor, amount, period, burst, wanted, now)
    return max(0, (units + wanted - burst) * period / amount + anchor - now)
end

---The same debt at another rate: units in whole, rounded up, owed from now on.
---@param level number
---@param anchor number
---@param now number
---@return number units
---@return number anchor
function gcra.convert(level, anchor, now)
    return ceil(level), max(anchor, now)
end

return gcra
