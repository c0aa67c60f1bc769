-- How fast rows and indexes grow, measured over the last minutes.
--
-- A daemon step notes every ten seconds how many bytes are live; thirty-one notes, five minutes, are kept. Deleted rows
-- are not live even before the collector has seen them, so the collector's rhythm does not show.

local clock = require('lycosa.core.clock')
local footprint = require('lycosa.core.memory.footprint')

local growth = {}

local EVERY_SECONDS = 10
local MOST = 31
-- A rate over less says nothing.
local LEAST_SECONDS = 60

local notes = {}

---Note the live bytes of a moment; the oldest of 31 notes is forgotten.
---@param at number seconds of the monotonic clock
---@param bytes number
function growth.note(at, bytes)
    table.insert(notes, {at, bytes})
    if #notes > MOST then
        table.remove(notes, 1)
    end
end

---Forget every note.
function growth.forget()
    notes = {}
end

---Bytes per second between the oldest and the newest note, negative when memory shrinks.
---@return number? nil while the notes span less than a minute
function growth.rate()
    local first, last = notes[1], notes[#notes]
    if first == nil or last[1] - first[1] < LEAST_SECONDS then
        return nil
    end
    return (last[2] - first[2]) / (last[1] - first[1])
end

---Seconds until `left` more bytes are written at the present rate.
---@param left number bytes
---@return number? nil when memory does not grow or the rate is not known yet
function growth.seconds(left)
    local rate = growth.rate()
    if rate == nil or rate <= 0 then
        return nil
    end
    return math.max(0, left) / rate
end

-- The daemon step. Where the instance is read-only no step runs, and the rate is not known.
local function sample()
    growth.note(clock.monotonic(), footprint.live(footprint.spaces()))
    return false, clock.now() + EVERY_SECONDS
end

growth.step = {name = 'memory.sample', run = sample, limit = 1}

return growth
