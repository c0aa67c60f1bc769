-- What lycosa.memory() shows: the fill of the memory, its growth, what takes it, and how it is split by size of rows.

local memory = require('lycosa.core.memory')
local printed = require('lycosa.console.table')

local memory_tables = {}

local function share(part, whole)
    return ('%.1f %%'):format(whole > 0 and part * 100 / whole or 0)
end

---Lines of the table of the whole.
---@param figures table memory.figures()
---@return string[]
function memory_tables.fill(figures)
    local quota = figures.quota
    return printed.lines({{'memory'}, {'bytes', right = true}, {'share', right = true}}, {
        {'quota', printed.bytes(quota), '100.0 %'},
        {'rows and indexes', printed.bytes(figures.used), share(figures.used, quota)},
        {'of it not deleted', printed.bytes(figures.live), share(figures.live, quota)},
        {'of it rows', printed.bytes(figures.items_used), share(figures.items_used, quota)},
        {'Lua (outside the quota)', printed.bytes(figures.lua_used), ''},
        {'vinyl (outside the quota)', printed.bytes(figures.vinyl), ''},
    })
end

---Lines of the table of spaces.
---@param figures table memory.figures()
---@return string[]
function memory_tables.spaces(figures)
    local rows = {}
    for i, space in ipairs(figures.spaces) do
        local in_memory = space.engine == 'memtx'
        rows[i] = {
            space.name, space.engine, printed.whole(space.rows), printed.bytes(space.bytes),
            printed.bytes(space.index_bytes), in_memory and share(space.bytes + space.index_bytes, figures.quota) or '',
        }
    end
    return printed.lines({
        {'space'}, {'engine'}, {'rows', right = true}, {'bytes', right = true}, {'index bytes', right = true},
        {'share', right = true},
    }, rows)
end

local function size_classes(figures)
    local rows = {}
    for _, class in ipairs(figures.size_classes) do
        table.insert(rows, {
            printed.bytes(class.item_size), printed.whole(class.items), printed.whole(class.slabs),
            printed.bytes(class.used_bytes), printed.bytes(class.free_bytes),
            share(class.free_bytes, class.used_bytes + class.free_bytes),
        })
    end
    return printed.lines({
        {'rows of up to', right = true}, {'rows', right = true}, {'slabs', right = true}, {'used', right = true},
        {'free', right = true}, {'free share', right = true},
    }, rows)
end

local function growth_lines(figures)
    if figures.growth == nil then
        return {'Growth is not known yet: it is measured over one to five minutes.'}
    elseif figures.seconds_to_full == nil then
        return {'Does not grow.'}
    end
    return {('Grows by %s/s; at that rate no write is accepted in %s.'):format(
        printed.bytes(figures.growth), printed.duration(figures.seconds_to_full)
    )}
end

---Memory as one text of aligned tables.
---@return string
function memory_tables.text()
    local figures = memory.figures()
    return printed.text(
        ('Memory of the store: %s of %s in use'):format(printed.bytes(figures.used), printed.bytes(figures.quota)),
        {
            {'', memory_tables.fill(figures)},
            {'', growth_lines(figures)},
            {'', memory_tables.spaces(figures)},
            {'', size_classes(figures)},
        }
    )
end

return memory_tables
