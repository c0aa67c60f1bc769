-- What the allocator of rows and indexes says, read without a walk.

local arena = {}

-- Slabs serve rows of one size each, the largest of them 16 MiB at a time.
arena.SLAB = 16 * 1048576

---Bytes in rows and indexes, deleted rows that the Lua collector has not seen included. The arena's share of the quota
---never shrinks again, so it says nothing of its fill; rows near 1 MiB and larger stand outside the arena.
---@param slab table box.slab.info()
---@return number
function arena.used(slab)
    local outside = tonumber(slab.quota_used) - tonumber(slab.arena_size)
    return tonumber(slab.arena_used) + math.max(0, outside)
end

---Bytes in slabs that no size of row has taken yet, and in those still to be taken from the quota.
---@param slab table box.slab.info()
---@return number
function arena.free_in_slabs(slab)
    local index_bytes = tonumber(slab.arena_used) - tonumber(slab.items_used)
    local index_slabs = math.ceil(index_bytes / arena.SLAB) * arena.SLAB
    local outside = math.max(0, tonumber(slab.quota_used) - tonumber(slab.arena_size))
    return tonumber(slab.quota_size) - outside - tonumber(slab.items_size) - index_slabs
end

---The sizes of rows that slabs serve, smallest first. Free bytes of one size serve no row of another. Blocks of indexes
---are rows of 16 KiB here.
---@return {item_size: integer, items: integer, slabs: integer, used_bytes: integer, free_bytes: integer}[]
function arena.size_classes()
    local classes, by_size = {}, {}
    for _, class in ipairs(box.slab.stats()) do
        local size = tonumber(class.item_size)
        local one = by_size[size]
        if one == nil then
            one = {item_size = size, items = 0, slabs = 0, used_bytes = 0, free_bytes = 0}
            by_size[size] = one
            table.insert(classes, one)
        end
        one.items = one.items + tonumber(class.item_count)
        one.slabs = one.slabs + tonumber(class.slab_count)
        one.used_bytes = one.used_bytes + tonumber(class.mem_used)
        one.free_bytes = one.free_bytes + tonumber(class.mem_free)
    end
    table.sort(classes, function(left, right)
        return left.item_size < right.item_size
    end)
    return classes
end

---How full the slabs are of the sizes that hold rows in number: a hundredth of all bytes in use or more.
---@return number percent
function arena.sizes_full()
    local classes, total = arena.size_classes(), 0
    for _, class in ipairs(classes) do
        total = total + class.used_bytes
    end
    local used, free = 0, 0
    for _, class in ipairs(classes) do
        if class.used_bytes * 100 >= total then
            used, free = used + class.used_bytes, free + class.free_bytes
        end
    end
    return used + free > 0 and used * 100 / (used + free) or 0
end

return arena
