-- How postings and norms are packed, and how they are read where they lie: in the memory of the stored row, without
-- a copy and without an object per posting.

local ffi = require('ffi')

local packed = {}

ffi.cdef[[
/* One term in one passage: the passage's number less the block's base, and how often the term stands there. */
struct lycosa_posting { uint16_t at; uint16_t frequency; };

/* What a search must know of a passage. Length 0: it is dead or was never indexed. Customer and kind are hashes;
   customer 0 is none. */
struct lycosa_norm { uint32_t customer; uint16_t kind; uint16_t length; uint16_t position; uint16_t unused; };
]]
-- The server declares it for itself as well, under the same signature in all versions.
pcall(ffi.cdef, 'const char *box_tuple_field(const struct tuple *tuple, uint32_t number);')

packed.POSTING_BYTES = ffi.sizeof('struct lycosa_posting')
packed.NORM_BYTES = ffi.sizeof('struct lycosa_norm')
-- Frozen: stored rows depend on them. Passages of a block lie within SPAN of its base.
packed.BLOCK = 1024
packed.SPAN = 65535
packed.WINDOW = 2048

packed.postings_of_size = ffi.typeof('struct lycosa_posting[?]')
packed.norms_of_size = ffi.typeof('struct lycosa_norm[?]')

local C = ffi.C
local BYTES = ffi.typeof('const uint8_t *')
local POSTINGS = ffi.typeof('const struct lycosa_posting *')
local NORMS = ffi.typeof('const struct lycosa_norm *')

-- Bytes of a string field. Valid as long as the tuple is held.
local function field(tuple, number)
    local at = ffi.cast(BYTES, C.box_tuple_field(tuple, number - 1))
    local tag = at[0]
    if tag < 0xC0 then
        return at + 1, tag - 0xA0
    elseif tag == 0xD9 or tag == 0xC4 then
        return at + 2, tonumber(at[1])
    elseif tag == 0xDA or tag == 0xC5 then
        return at + 3, at[1] * 256 + at[2]
    end
    return at + 5, ((at[1] * 256 + at[2]) * 256 + at[3]) * 256 + at[4]
end

---Postings of a row, in place.
---@param tuple box.tuple must be held while they are read
---@param number integer field
---@return ffi.cdata* postings
---@return integer count
function packed.postings(tuple, number)
    local at, size = field(tuple, number)
    return ffi.cast(POSTINGS, at), size / packed.POSTING_BYTES
end

---Norms of a row, in place.
---@param tuple box.tuple must be held while they are read
---@param number integer field
---@return ffi.cdata* norms
---@return integer count
function packed.norms(tuple, number)
    local at, size = field(tuple, number)
    return ffi.cast(NORMS, at), size / packed.NORM_BYTES
end

---The index of the first posting from `from` on whose passage is not before `at`; `count` when there is none.
---@param postings ffi.cdata*
---@param from integer
---@param count integer
---@param at integer passage number less the block's base
---@return integer
function packed.find(postings, from, count, at)
    local low, high = from, count
    while low < high do
        local middle = low + (high - low - (high - low) % 2) / 2
        if postings[middle].at < at then
            low = middle + 1
        else
            high = middle
        end
    end
    return low
end

return packed
