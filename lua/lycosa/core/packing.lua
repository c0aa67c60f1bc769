-- MessagePack put together where it is needed, value by value, for what is sent to the engine again and again: `msgpack.encode`
-- makes a string of every key, which is hashed and collected, and is not compiled.
--
-- Each function writes at a place, a pointer to bytes with room, and gives the place behind what it wrote.

local bit = require('bit')
local ffi = require('ffi')

local packing = {}

-- Of a text, in bytes; no key or name is longer.
packing.LONGEST = 65535
-- Bytes that a text or a number takes beside its own.
packing.HEAD = 9

local copy, floor = ffi.copy, math.floor
local whole_type, double_type = ffi.typeof('uint64_t *'), ffi.typeof('double *')
local bits = ffi.new('uint64_t[1]')
local as_double = ffi.cast(double_type, bits)
local SMALL, WORD = 128, 2 ^ 32

-- MessagePack's numbers have their highest byte first.
local function put_bits(place, value)
    ffi.cast(whole_type, place)[0] = ffi.abi('le') and bit.bswap(value) or value
    return place + 8
end

---@param place ffi.cdata* uint8_t *
---@param value string up to 65,535 bytes
---@return ffi.cdata* place
function packing.text(place, value)
    local length = #value
    if length < 32 then
        place[0] = 0xA0 + length
        place = place + 1
    elseif length < 256 then
        place[0], place[1] = 0xD9, length
        place = place + 2
    else
        assert(length <= packing.LONGEST, 'a text is too long to be packed')
        place[0], place[1], place[2] = 0xDA, floor(length / 256), length % 256
        place = place + 3
    end
    copy(place, value, length)
    return place + length
end

---@param place ffi.cdata* uint8_t *
---@param value number whole, from 0 to 2^53
---@return ffi.cdata* place
function packing.whole(place, value)
    if value < SMALL then
        place[0] = value
        return place + 1
    elseif value < WORD then
        place[0], place[1], place[2] = 0xCE, floor(value / 16777216), floor(value / 65536) % 256
        place[3], place[4] = floor(value / 256) % 256, value % 256
        return place + 5
    end
    place[0] = 0xCF
    return put_bits(place + 1, ffi.cast('uint64_t', value))
end

---@param place ffi.cdata* uint8_t *
---@param value number any
---@return ffi.cdata* place
function packing.double(place, value)
    place[0], as_double[0] = 0xCB, value
    return put_bits(place + 1, bits[0])
end

return packing
