-- Arguments that come again and again, equal to the last bit: whom to ask, and what each takes. Sent as a string of
-- MessagePack, such a value is taken apart and checked once, and then found by its string.

local msgpack = require('msgpack')
local remembered = require('lycosa.core.remembered')
local types = require('lycosa.core.types')

local repeated = {}

-- The decoder calls itself for every level, and a level takes a byte at the least: some 4,000 end the fiber's stack. And
-- all that is remembered takes 10 MiB at the worst.
local LONGEST = 2048

local BYTES = types.bytes{min = 1, max = LONGEST}

local function unpack(value)
    local bytes, problem = BYTES.check(value)
    if bytes == nil then
        return nil, problem
    end
    local ok, plain, stop = pcall(msgpack.decode, bytes)
    if not ok or stop ~= #bytes + 1 then
        return nil, 'is not one value of MessagePack'
    end
    return plain
end

---A value of another type, as it is or packed. What is bound is shared by all calls that send the same: never change it.
---@param inner lycosa.Type of lists, maps or records
---@return lycosa.Type
function repeated.type(inner)
    local packed = remembered(function(value)
        local plain, problem = unpack(value)
        if problem ~= nil then
            return nil, problem
        end
        return inner.check(plain)
    end)
    return {
        kind = 'repeated', of = inner, max = LONGEST,
        check = function(value)
            if type(value) == 'table' then
                return inner.check(value)
            end
            return packed(value)
        end,
    }
end

return repeated
