-- What lycosa.status() shows: memory, spaces, the cache, background steps and calls, for a person at the console.

local cache_tables = require('lycosa.console.cache')
local daemon = require('lycosa.core.daemon')
local memory = require('lycosa.core.memory')
local memory_tables = require('lycosa.console.memory')
local metrics = require('lycosa.core.metrics')
local printed = require('lycosa.console.table')

local status = {}

local LONGEST_ERROR = 60

local function uptime(seconds)
    local days, hours = math.floor(seconds / 86400), math.floor(seconds % 86400 / 3600)
    local minutes = math.floor(seconds % 3600 / 60)
    if days > 0 then
        return ('%d d %d h'):format(days, hours)
    elseif hours > 0 then
        return ('%d h %d min'):format(hours, minutes)
    end
    return ('%d min %d s'):format(minutes, seconds % 60)
end

local function mean(record, times)
    return printed.milliseconds(times > 0 and record.seconds / times or 0)
end

local function step_lines(steps)
    local rows = {}
    for i, step in ipairs(steps) do
        local failure = step.last_error == nil and '' or tostring(step.last_error):gsub('%c', ' '):sub(1, LONGEST_ERROR)
        rows[i] = {
            step.name, printed.whole(step.runs), printed.whole(step.failures), mean(step, step.runs),
            printed.milliseconds(step.slowest), ('%.1f'):format(step.due_in), failure,
        }
    end
    return printed.lines({
        {'step'}, {'runs', right = true}, {'failures', right = true}, {'mean ms', right = true},
        {'slowest ms', right = true}, {'due in s', right = true}, {'last error'},
    }, rows)
end

local function procedure_lines(procedures)
    local names, rows = {}, {}
    for name in pairs(procedures) do
        table.insert(names, name)
    end
    table.sort(names)
    for i, name in ipairs(names) do
        local record = procedures[name]
        rows[i] = {
            name, printed.whole(record.calls), printed.whole(record.errors), mean(record, record.calls),
            printed.milliseconds(record.slowest),
        }
    end
    return printed.lines({
        {'procedure'}, {'calls', right = true}, {'errors', right = true}, {'mean ms', right = true},
        {'slowest ms', right = true},
    }, rows)
end

---The server's state as one text of aligned tables. Counts since the start of the process.
---@param schema_version integer
---@return string
function status.text(schema_version)
    local figures, collected = memory.figures(), metrics.collect()
    local heading = ('Lycosa on Tarantool %s: %s, %s, schema %d, up %s'):format(
        _TARANTOOL, box.info.status, box.info.ro and 'read-only' or 'writable', schema_version,
        uptime(tonumber(box.info.uptime))
    )
    return printed.text(heading, {
        {'', memory_tables.fill(figures)},
        {'', memory_tables.spaces(figures)},
        {'', cache_tables.lines()},
        {'', step_lines(daemon.figures())},
        {'', procedure_lines(collected.procedures)},
    })
end

return status
