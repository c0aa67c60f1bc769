-- What specs share: an empty store, a frozen clock, and errors taken apart.

local clock = require('lycosa.core.clock')
local errors = require('lycosa.core.errors')

local support = {}

-- Of these the server itself has need between specs.
local KEPT = {schema_ledger = true}

---Empty every space of ours and freeze the clock at a round moment.
function support.reset()
    for _, space in box.space._space:pairs() do
        if space[1] >= 512 and not KEPT[space[3]] then
            box.space[space[3]]:truncate()
        end
    end
    clock.freeze(1700000000)
end

---Arguments with what a test adds or changes.
---@param args table is changed, too
---@param changes table?
---@return table args
function support.with(args, changes)
    for name, value in pairs(changes or {}) do
        args[name] = value
    end
    return args
end

---A tenant's entries of the cache, from old to new, for a `for` loop.
---@param tenant string
function support.entries_of(tenant)
    local found = {}
    for _, entry in box.space.cache_entry.index.age:pairs() do
        if entry.tenant == tenant then
            table.insert(found, entry)
        end
    end
    return ipairs(found)
end

---Assert that `call` raises the catalogued error `code`.
---@return table details of the error
function support.raises(code, call, ...)
    local ok, raised = pcall(call, ...)
    if ok then
        error('expected ' .. code .. ', but nothing was raised', 2)
    end
    local found, details = errors.parse(raised)
    if found ~= code then
        error(('expected %s, got: %s'):format(code, tostring(raised)), 2)
    end
    return details
end

return support
