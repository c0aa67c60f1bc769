-- Arguments that come again and again, equal to the last bit: whom to ask, and what each takes. Sent as a string of
-- MessagePack, such a value is taken apart and checked once, and then found by its string.

local msgpack = require('msgpack')
local new_table = require('table.new')
local types = require('lycosa.core.types')

local repeated = {}

-- The decoder calls itself for every level, and a level takes a byte at the least: some 4,000 end the fiber's stack.
local LONGEST = 2048
-- About 10 MiB at the worst.
local MOST = 1024

local BYTES = types.bytes{min = 1, max = LONGEST}

local function unpacked(bytes)
    local ok, value, stop = pcall(msgpack.decode, bytes)
    return ok and stop == #bytes + 1, value
end

---A value of another type, as it is or packed. What is bound is shared by all calls that send the same: never change it.
---@param inner lycosa.Type of lists, maps or records
---@return lycosa.Type
function repeated.type(inner)
    local known, count = new_table(0, MOST), 0
    return {
        kind = 'repeated', of = inner, max = LONGEST,
        check = function(value)
            if type(value) == 'table' then
                return inner.check(value)
            end
            local checked = known[value]
            if checked ~= nil then
                return checked
            end
            local bytes, wrong = BYTES.check(value)
            if bytes == nil then
                return nil, wrong
            end
            local whole, plain = unpacked(bytes)
            if not whole then
                return nil, 'is not one value of MessagePack'
            end
            local problem, path
            checked, problem, path = inner.check(plain)
            if checked == nil then
                return nil, problem, path
            end
            if count == MOST then
                known, count = new_table(0, MOST), 0
            end
            known[bytes], count = checked, count + 1
            return checked
        end,
    }
end

return repeated
