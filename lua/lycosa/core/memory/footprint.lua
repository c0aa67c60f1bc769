-- Rows and bytes of every space of ours. The engine keeps these numbers by write: bytes of rows change with every insert
-- and delete, bytes of an index with its blocks. So nothing is walked, and no count of our own could differ from them.

local footprint = {}

local SYSTEM_ID_MAX = 511

---@return {name: string, engine: string, rows: integer, bytes: integer, index_bytes: integer}[] sorted by name; bytes of a
---vinyl space are those on disk and those still in memory
function footprint.spaces()
    local answer = {}
    for _, row in box.space._space:pairs({SYSTEM_ID_MAX}, {iterator = 'GT'}) do
        local space = box.space[row[3]]
        local index_bytes = 0
        for id, index in pairs(space.index) do
            if type(id) == 'number' then
                index_bytes = index_bytes + index:bsize()
            end
        end
        table.insert(answer, {
            name = space.name, engine = space.engine,
            rows = tonumber(space:len()), bytes = tonumber(space:bsize()), index_bytes = tonumber(index_bytes),
        })
    end
    table.sort(answer, function(left, right)
        return left.name < right.name
    end)
    return answer
end

---Bytes of rows and indexes in memory that are not deleted.
---@param spaces table[] footprint.spaces()
---@return integer
function footprint.live(spaces)
    local bytes = 0
    for _, space in ipairs(spaces) do
        if space.engine == 'memtx' then
            bytes = bytes + space.bytes + space.index_bytes
        end
    end
    return bytes
end

---Memory of the vinyl engine, which stands beside the quota: rows not yet on disk, rows read, what finds them.
---@return integer
function footprint.vinyl()
    local bytes = 0
    for _, part in pairs(box.stat.vinyl().memory) do
        bytes = bytes + tonumber(part)
    end
    return bytes
end

return footprint
