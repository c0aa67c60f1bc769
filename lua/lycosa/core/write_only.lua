-- Writes that give nothing back, within a transaction.
--
-- What `space:insert` and its like return is a tuple that holds a reference to its row, which the collector has to give
-- back (see lycosa.core.borrowed), and mostly nobody looks at it. These call Tarantool's public C interface (module.h)
-- and cost two thirds. Inside a transaction a write to memtx never yields, which a call through FFI must not do; outside
-- of one they refuse. Vinyl may wait for its disk: its spaces are not to be written this way.

local buffer = require('buffer')
local ffi = require('ffi')
local msgpack = require('msgpack')
local packing = require('lycosa.core.packing')

local write_only = {}

ffi.cdef[[
bool box_txn(void);
char *box_tuple_extract_key(const struct tuple *row, uint32_t space, uint32_t index, uint32_t *size);
int box_insert(uint32_t space, const char *row, const char *row_end, struct tuple **stored);
int box_replace(uint32_t space, const char *row, const char *row_end, struct tuple **stored);
int box_update(uint32_t space, uint32_t index, const char *key, const char *key_end, const char *operations,
    const char *operations_end, int first_field, struct tuple **stored);
int box_delete(uint32_t space, uint32_t index, const char *key, const char *key_end, struct tuple **deleted);
]]

local C, cast, encode = ffi.C, ffi.cast, msgpack.encode
local text_type, tuple_type = ffi.typeof('const char *'), ffi.typeof(box.tuple.new{})
local stored, key_size = ffi.new('struct tuple *[1]'), ffi.new('uint32_t[1]')
-- Rows are encoded here: a string of each would be hashed and collected. What grew large goes with the next row.
local packed, MOST_KEPT = buffer.ibuf(65536), 1048576
local ASSIGN, EXACT = ('='):byte(), 2 ^ 53
-- A key of two texts, and two assignments.
local key_and_changes = ffi.new('uint8_t[?]', 2 * (packing.HEAD + packing.LONGEST) + 64)

local function pack(row)
    if not C.box_txn() then
        error('a write through FFI is outside of a transaction', 3)
    end
    if packed:capacity() > MOST_KEPT then
        packed:recycle()
    else
        packed:reset()
    end
    encode(row, packed)
end

---As space:insert of a memtx space. Raises what box.error() tells, such as a duplicate key.
---@param space table
---@param row any[]
function write_only.insert(space, row)
    pack(row)
    if C.box_insert(space.id, packed.rpos, packed.wpos, nil) ~= 0 then
        box.error()
    end
end

---As space:replace of a memtx space, but the row is borrowed.
---@param space table
---@param row any[]
---@return box.tuple row to be read before the next write and before the fiber yields
function write_only.replace(space, row)
    pack(row)
    if C.box_replace(space.id, packed.rpos, packed.wpos, stored) ~= 0 then
        box.error()
    end
    return cast(tuple_type, stored[0])
end

---As space:update of a memtx space by its primary key.
---@param space table
---@param key any[]
---@param operations string those of space:update as MessagePack
---@return boolean found whether there was a row to be updated
function write_only.update(space, key, operations)
    pack(key)
    local first = cast(text_type, operations)
    if C.box_update(space.id, 0, packed.rpos, packed.wpos, first, first + #operations, 1, stored) ~= 0 then
        box.error()
    end
    return stored[0] ~= nil
end

-- An assignment of an update; the name of the operation is a text of one byte.
local function put_assignment(place, field, value)
    place[0], place[1], place[2] = 0x93, 0xA1, ASSIGN
    place = packing.whole(place + 3, field)
    if value >= 0 and value % 1 == 0 and value < EXACT then
        return packing.whole(place, value)
    end
    return packing.double(place, value)
end

---Set one or two fields of a memtx space's row to numbers. It makes no table and no string, and so is compiled whole.
---@param space table
---@param first string of the primary key, which is two texts
---@param second string
---@param field integer
---@param value number
---@param other_field integer?
---@param other_value number?
---@return boolean found whether there was a row to be updated
function write_only.assign(space, first, second, field, value, other_field, other_value)
    if not C.box_txn() then
        error('a write through FFI is outside of a transaction', 2)
    end
    key_and_changes[0] = 0x92
    local changes = packing.text(packing.text(key_and_changes + 1, first), second)
    changes[0] = other_field ~= nil and 0x92 or 0x91
    local stop = put_assignment(changes + 1, field, value)
    if other_field ~= nil then
        stop = put_assignment(stop, other_field, other_value)
    end
    local key, middle, last = cast(text_type, key_and_changes), cast(text_type, changes), cast(text_type, stop)
    if C.box_update(space.id, 0, key, middle, middle, last, 1, stored) ~= 0 then
        box.error()
    end
    return stored[0] ~= nil
end

---Delete a row of a memtx space.
---@param space table
---@param row box.tuple of this space; a borrowed one is not to be read afterwards
function write_only.delete(space, row)
    if not C.box_txn() then
        error('a write through FFI is outside of a transaction', 2)
    end
    local key = C.box_tuple_extract_key(row, space.id, 0, key_size)
    if key == nil or C.box_delete(space.id, 0, key, key + key_size[0], nil) ~= 0 then
        box.error()
    end
end

return write_only
