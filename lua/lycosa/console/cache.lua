-- What lycosa.status() shows of the cache: the server's figures, and those of the tenants that hold most.

local cache = require('lycosa.cache')
local fields = require('lycosa.cache.fields')
local pool = require('lycosa.cache.pool')
local printed = require('lycosa.console.table')

local cache_tables = {}

local TENANTS = 10
local COUNTS = {'hits', 'stale_hits', 'misses', 'expired', 'evicted', 'invalidated'}

local function row(name, figures)
    local asked = figures.hits + figures.stale_hits + figures.misses
    local cells = {
        name, printed.whole(figures.entries), printed.bytes(figures.bytes), printed.bytes(figures.budget),
        asked > 0 and ('%.1f %%'):format((figures.hits + figures.stale_hits) * 100 / asked) or '',
    }
    for _, count in ipairs(COUNTS) do
        table.insert(cells, printed.whole(figures[count]))
    end
    return cells
end

-- Those that hold most of each pool, the largest first.
local function largest()
    local bytes, names = {}, {}
    for _, of in ipairs(pool.all()) do
        for _, total in of.totals().index.bytes:pairs({}, {iterator = 'LE'}):take_n(TENANTS) do
            local tenant = total[fields.TENANT]
            if bytes[tenant] == nil then
                bytes[tenant] = pool.sum_of(tenant)
                table.insert(names, tenant)
            end
        end
    end
    table.sort(names, function(left, right)
        return bytes[left] > bytes[right] or (bytes[left] == bytes[right] and left < right)
    end)
    return names
end

---Lines of the table: the server first, then tenants from the largest; counts since the start of the process.
---@return string[]
function cache_tables.lines()
    local rows = {row('(all)', cache.figures{})}
    local tenants = largest()
    for i = 1, math.min(TENANTS, #tenants) do
        table.insert(rows, row(tenants[i], cache.figures{tenant = tenants[i]}))
    end
    local columns = {
        {'cache of'}, {'entries', right = true}, {'bytes', right = true}, {'budget', right = true},
        {'hit rate', right = true},
    }
    for _, count in ipairs(COUNTS) do
        table.insert(columns, {(count:gsub('_', ' ')), right = true})
    end
    return printed.lines(columns, rows)
end

return cache_tables
