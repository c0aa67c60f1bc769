-- Figures that the server counts about itself. Counters live in Lua memory: cheap, and lost with the process,
-- as every scrape of a counter expects.

local metrics = {}

local counters = {}
local gauges = {}
local procedures = {}

---Add to a counter.
---@param name string dotted, e.g. `document.indexed`
---@param amount number? 1 when absent
function metrics.count(name, amount)
    counters[name] = (counters[name] or 0) + (amount or 1)
end

---Declare a figure that is read when asked for.
---@param name string
---@param read fun(): number
function metrics.gauge(name, read)
    gauges[name] = read
end

---The record a procedure's wrapper counts into. Times in seconds of the monotonic clock.
---@param name string
---@return {calls: integer, errors: integer, seconds: number, slowest: number}
function metrics.procedure(name)
    local record = procedures[name]
    if record == nil then
        record = {calls = 0, errors = 0, seconds = 0, slowest = 0}
        procedures[name] = record
    end
    return record
end

local function map(fields)
    return setmetatable(fields or {}, {__serialize = 'map'})
end

---Everything counted so far.
---@return {counters: table<string, number>, gauges: table<string, number>, procedures: table<string, table>}
function metrics.collect()
    local answer = {counters = map(), gauges = map(), procedures = map()}
    for name, value in pairs(counters) do
        answer.counters[name] = value
    end
    for name, read in pairs(gauges) do
        answer.gauges[name] = read()
    end
    for name, record in pairs(procedures) do
        if record.calls > 0 then
            answer.procedures[name] = {
                calls = record.calls, errors = record.errors,
                seconds = record.seconds, slowest = record.slowest,
            }
        end
    end
    return answer
end

return metrics
