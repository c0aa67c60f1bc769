-- Steps the Lua collector ahead of need: a deleted row's bytes come back only when the collector has dropped the last
-- reference to its tuple.

local clock = require('lycosa.core.clock')

local collector = {}

-- The collector is stepped above this fill (percent), a slice at a time. After a whole cycle it rests for a second, or
-- until so many percent more are in use: writes that replace rows fast leave garbage as fast.
collector.ABOVE = 45
local REST_GROWTH = 4
local REST_SECONDS = 1
local SLICE_SECONDS = 0.001
local LOOK_SECONDS = 1

---The daemon step: one millisecond of collection at a time while memory is above the mark.
---@param used_percent fun(): number fill of the memory, read when called
---@return {name: string, run: function, limit: integer}
function collector.step(used_percent)
    local rested_at, rested_with = -math.huge, 0
    local function run(limit)
        local started, percent = clock.monotonic(), used_percent()
        if percent <= collector.ABOVE then
            return false, clock.now() + LOOK_SECONDS
        end
        if started - rested_at < REST_SECONDS and percent < rested_with + REST_GROWTH then
            return false, clock.now() + REST_SECONDS
        end
        for _ = 1, limit do
            if collectgarbage('step', 0) then
                rested_at, rested_with = clock.monotonic(), used_percent()
                return false, clock.now() + REST_SECONDS
            end
            if clock.monotonic() - started > SLICE_SECONDS then
                break
            end
        end
        return true
    end
    return {name = 'memory.collect', run = run, limit = 10000}
end

return collector
