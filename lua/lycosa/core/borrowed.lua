-- Rows of memory that are read without being owned.
--
-- A tuple of `index:select` holds a reference to its row, which the collector gives back: it keeps a table of all such
-- tuples and walks the whole of it without a pause once a cycle. A borrowed tuple holds none. It costs a third, and the
-- collector nothing. It may be read only until the fiber yields or the space is written to: pack it, count it or copy
-- from it, never keep it. What memtx holds stays where it is that long; vinyl's rows do not, so none are lent.
--
-- The functions are Tarantool's public C interface (module.h), and Tarantool's own `index:pairs` calls them this way.

local ffi = require('ffi')
local msgpack = require('msgpack')
local new_table = require('table.new')
local packing = require('lycosa.core.packing')

local borrowed = {}

-- The server declares these for itself as well, under the same signatures in all versions.
pcall(ffi.cdef, 'int box_tuple_ref(struct tuple *tuple);')
pcall(ffi.cdef, 'void box_tuple_unref(struct tuple *tuple);')
ffi.cdef[[
struct iterator *box_index_iterator(uint32_t space, uint32_t index, int kind, const char *key, const char *key_end);
int box_iterator_next(struct iterator *iterator, struct tuple **row);
void box_iterator_free(struct iterator *iterator);
int box_index_get(uint32_t space, uint32_t index, const char *key, const char *key_end, struct tuple **row);
]]

local C, cast, encode = ffi.C, ffi.cast, msgpack.encode
local text_type, tuple_type = ffi.typeof('const char *'), ffi.typeof(box.tuple.new{})
local found = ffi.new('struct tuple *[1]')
-- Keys of two texts are put together here.
local pair = ffi.new('uint8_t[?]', 1 + 2 * (packing.HEAD + packing.LONGEST))
-- Rows that a list has room for from the start.
local MOST_FORESEEN = 128

---As index:get of a unique memtx index, but the row is borrowed. Raises what box.error() tells when the engine refuses.
---@param index table of a memtx space
---@param key any[]
---@return box.tuple? row to be read before the fiber yields and before the space is written to
function borrowed.get(index, key)
    local packed = encode(key)
    local start = cast(text_type, packed)
    if C.box_index_get(index.space_id, index.id, start, start + #packed, found) ~= 0 then
        box.error()
    end
    return found[0] ~= nil and cast(tuple_type, found[0]) or nil
end

---As `get` by a key of two texts. It makes no table and no string, and so is compiled whole.
---@param index table of a memtx space
---@param first string up to 65,535 bytes, as the second
---@param second string
---@return box.tuple? row to be read before the fiber yields and before the space is written to
function borrowed.find(index, first, second)
    pair[0] = 0x92
    local stop = packing.text(packing.text(pair + 1, first), second)
    if C.box_index_get(index.space_id, index.id, cast(text_type, pair), cast(text_type, stop), found) ~= 0 then
        box.error()
    end
    return found[0] ~= nil and cast(tuple_type, found[0]) or nil
end

---Make a borrowed row one's own: it may be kept, and the collector gives it back.
---@param row box.tuple
---@return box.tuple row the same
function borrowed.own(row)
    C.box_tuple_ref(row)
    return ffi.gc(row, C.box_tuple_unref)
end

---As index:select of a memtx index, but the rows are borrowed. Raises what box.error() tells when the engine refuses.
---@param index table of a memtx space
---@param key any[] may be partial
---@param kind integer one of box.index
---@param limit integer
---@return box.tuple[] rows to be read before the fiber yields and before the space is written to
function borrowed.select(index, key, kind, limit)
    local packed = encode(key)
    local start = cast(text_type, packed)
    local iterator = C.box_index_iterator(index.space_id, index.id, kind, start, start + #packed)
    if iterator == nil then
        box.error()
    end
    local rows, count, failed = new_table(math.min(limit, MOST_FORESEEN), 0), 0, false
    while count < limit do
        failed = C.box_iterator_next(iterator, found) ~= 0
        if failed or found[0] == nil then
            break
        end
        count = count + 1
        rows[count] = cast(tuple_type, found[0])
    end
    C.box_iterator_free(iterator)
    if failed then
        box.error()
    end
    return rows
end

return borrowed
