-- Calendar windows: minute, hour, day and month of a time zone.
--
-- There is no time zone database here. A zone is a list of {starts_at, minutes}: from a moment (unix seconds) on, local
-- time is so many minutes ahead of UTC; the first entry also holds before its moment, the last one for ever. A fixed
-- offset is a list of one.
--
-- Days and months begin at the first instant at which the zone's clocks reach their date, so where clocks are put back
-- across midnight the date that has begun goes on, and windows never overlap nor leave a gap. Hours and minutes follow
-- each other in real time.

local fields = require('lycosa.quota.fields')

local windows = {}

local floor, max, min = math.floor, math.max, math.min
local DAY = 86400
local FIXED = {minute = 60, hour = 3600}

-- Seconds that a zone is ahead of UTC from its i-th entry on, and the moments between which that holds.
local function segment(offsets, i)
    local following = offsets[i + 1]
    return offsets[i][2] * 60, i == 1 and -math.huge or offsets[i][1], following and following[1] or math.huge
end

-- The latest date and time that the zone's clocks have shown up to a moment, in seconds of local time.
local function latest_shown(offsets, at)
    local latest = -math.huge
    for i = 1, #offsets do
        local ahead, from, till = segment(offsets, i)
        if from > at then
            break
        end
        -- The moment `till` itself belongs to the next entry.
        latest = max(latest, till <= at and till + ahead - 1 or at + ahead)
    end
    return latest
end

-- The first moment at which the zone's clocks show `shown` or later.
local function first_moment(offsets, shown)
    for i = 1, #offsets do
        local ahead, from, till = segment(offsets, i)
        local moment = max(from, shown - ahead)
        if moment < till then
            return moment
        end
    end
end

-- Days since 1970-01-01 -> year and month, in the proleptic Gregorian calendar. Years are counted from March, so that
-- the leap day is the last of its year.
local function month_of(days)
    local shifted = days + 719468
    local era = floor(shifted / 146097)
    local day_of_era = shifted - era * 146097
    local year_of_era = floor((day_of_era - floor(day_of_era / 1460) + floor(day_of_era / 36524)
        - floor(day_of_era / 146096)) / 365)
    local day_of_year = day_of_era - (365 * year_of_era + floor(year_of_era / 4) - floor(year_of_era / 100))
    local month = floor((5 * day_of_year + 2) / 153)
    local year = year_of_era + era * 400
    if month < 10 then
        return year, month + 3
    end
    return year + 1, month - 9
end

-- Days since 1970-01-01 of the first of a month.
local function first_of(year, month)
    if month <= 2 then
        year, month = year - 1, month + 12
    end
    local era = floor(year / 400)
    local year_of_era = year - era * 400
    local day_of_year = floor((153 * (month - 3) + 2) / 5)
    return era * 146097 + year_of_era * 365 + floor(year_of_era / 4) - floor(year_of_era / 100) + day_of_year - 719468
end

local function month_bounds(offsets, at)
    local year, month = month_of(floor(latest_shown(offsets, at) / DAY))
    local following = month == 12 and first_of(year + 1, 1) or first_of(year, month + 1)
    return first_moment(offsets, first_of(year, month) * DAY), first_moment(offsets, following * DAY)
end

local function day_bounds(offsets, at)
    local day = floor(latest_shown(offsets, at) / DAY)
    return first_moment(offsets, day * DAY), first_moment(offsets, (day + 1) * DAY)
end

-- Real time of fixed length, in step with the zone's clocks; shorter where they are moved by less than its length.
local function fixed_bounds(offsets, at, length)
    for i = 1, #offsets do
        local ahead, from, till = segment(offsets, i)
        if at < till then
            local start = floor((at + ahead) / length) * length - ahead
            return max(start, from), min(start + length, till)
        end
    end
end

---The window that a moment lies in.
---@param window string minute | hour | day | month | total
---@param offsets number[][] {starts_at, minutes}, ascending
---@param at number unix seconds
---@return number start unix seconds, inclusive
---@return number ends unix seconds, exclusive; `fields.NEVER` for `total`
function windows.bounds(window, offsets, at)
    if window == 'total' then
        return at, fields.NEVER
    elseif window == 'day' then
        return day_bounds(offsets, at)
    elseif window == 'month' then
        return month_bounds(offsets, at)
    end
    return fixed_bounds(offsets, at, FIXED[window])
end

return windows
