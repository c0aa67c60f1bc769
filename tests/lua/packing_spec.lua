local ffi = require('ffi')
local msgpack = require('msgpack')
local packing = require('lycosa.core.packing')

describe('packing', function()
    local bytes = ffi.new('uint8_t[?]', 2 * (packing.HEAD + packing.LONGEST))

    local function unpacked(put, value)
        local stop = put(bytes, value)
        local plain, behind = msgpack.decode(ffi.string(bytes, stop - bytes))
        assert.are.equal(stop - bytes + 1, behind)
        return plain
    end

    it('is what the decoder takes apart: texts of every length', function()
        for _, length in ipairs{0, 1, 31, 32, 255, 256, 65535} do
            local value = ('k'):rep(length)
            assert.are.equal(value, unpacked(packing.text, value))
        end
        assert.are.equal('Ёлкин\0', unpacked(packing.text, 'Ёлкин\0'))
        assert.has_error(function()
            packing.text(bytes, ('k'):rep(65536))
        end)
    end)

    it('is what the decoder takes apart: whole numbers', function()
        for _, value in ipairs{0, 1, 127, 128, 255, 256, 65536, 16777215, 16777216, 2 ^ 32 - 1, 2 ^ 32, 1e15, 9e15, 2 ^ 53} do
            assert.are.equal(value, tonumber(unpacked(packing.whole, value)))
        end
    end)

    it('is what the decoder takes apart: numbers', function()
        for _, value in ipairs{0, 1, -1, 0.1, -2.5e-300, 1764565000.123456, 1e300, math.huge, -math.huge} do
            assert.are.equal(value, unpacked(packing.double, value))
        end
        local none = unpacked(packing.double, 0 / 0)
        assert.are_not.equal(none, none)
    end)

    it('does not read what stood there before', function()
        packing.text(bytes, ('x'):rep(300))
        assert.are.equal('', unpacked(packing.text, ''))
        assert.are.equal(7, unpacked(packing.whole, 7))
    end)
end)
