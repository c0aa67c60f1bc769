local borrowed = require('lycosa.core.borrowed')
local msgpack = require('msgpack')
local support = require('tests.lua.support')

describe('borrowed rows', function()
    local space

    before_each(function()
        support.reset()
        space = box.space.customer
        local rows = {}
        for i = 1, 40 do
            rows[i] = {id = ('c%02d'):format(i), name = 'Ёлкин ' .. i, segment = 's' .. i % 3, since = i, tags = {'a', 't' .. i % 5}}
        end
        lycosa.customer.upsert{tenant = 'acme', rows = rows}
    end)

    local function same(index, key, kind, limit)
        local expected = msgpack.encode(index:select(key, {iterator = kind, limit = limit}))
        assert.are.equal(expected, msgpack.encode(borrowed.select(index, key, kind, limit)))
    end

    it('are those of select, by every index, key and direction', function()
        local keys = {
            id = {{}, {'acme'}, {'acme', 'c20'}, {'acme', 'c20x'}, {'nobody'}},
            segment = {{'acme'}, {'acme', 's1'}, {'acme', 's1', 20}},
            tag = {{'acme', 'a'}, {'acme', 't3'}, {'acme', 't3', 'c20'}},
        }
        for name, some in pairs(keys) do
            for _, key in ipairs(some) do
                for _, kind in ipairs{'EQ', 'REQ', 'ALL', 'LT', 'LE', 'GE', 'GT'} do
                    for _, limit in ipairs{0, 1, 7, 1000} do
                        same(space.index[name], key, box.index[kind], limit)
                    end
                end
            end
        end
    end)

    it('are read as any tuple is', function()
        local row = borrowed.select(space.index.id, {'acme', 'c07'}, box.index.EQ, 1)[1]
        assert.is_true(box.tuple.is(row))
        assert.are.equal('Ёлкин 7', row.name)
        assert.are.equal(space:get{'acme', 'c07'}:bsize(), row:bsize())
    end)

    it('are those of get, and none where there is none', function()
        assert.are.equal(msgpack.encode(space:get{'acme', 'c07'}), msgpack.encode(borrowed.get(space.index.id, {'acme', 'c07'})))
        assert.is_nil(borrowed.get(space.index.id, {'acme', 'c77'}))
        local ok, raised = pcall(borrowed.get, space.index.id, {'acme', 7})
        assert.is_false(ok)
        assert.are.equal(box.error.KEY_PART_TYPE, raised.code)
    end)

    it('are found by two texts as by a key of them', function()
        local key = box.space.cache_entry.index.key
        for _, length in ipairs{1, 31, 32, 255, 256, 512} do
            local name = ('k'):rep(length % 2) .. ('ж'):rep(math.floor(length / 2))
            lycosa.cache.set{tenant = 'acme', key = name, value = 'v' .. length, ttl = 60}
            assert.are.equal(length, #name)
            assert.are.equal('v' .. length, borrowed.find(key, 'acme', name).value)
            assert.are.equal(msgpack.encode(key:get{'acme', name}), msgpack.encode(borrowed.find(key, 'acme', name)))
            assert.is_nil(borrowed.find(key, 'acm', name))
            assert.is_nil(borrowed.find(key, 'acme', name .. 'x'))
        end
        local ok, raised = pcall(borrowed.find, key, 'acme', ('k'):rep(65536))
        assert.is_false(ok)
        assert.matches('too long to be packed', raised)
        ok, raised = pcall(borrowed.find, space.index.segment, 'acme', 's1')
        assert.is_false(ok)
        assert.are.equal(box.error.MORE_THAN_ONE_TUPLE, raised.code)
    end)

    it('may be kept once they are owned, and are given back with the last of them', function()
        local value = ('v'):rep(300000)
        lycosa.cache.set{tenant = 'acme', key = 'k', value = value, ttl = 60}
        local owned = borrowed.own(borrowed.find(box.space.cache_entry.index.key, 'acme', 'k'))
        local held = tonumber(box.slab.info().items_used)
        lycosa.cache.delete{tenant = 'acme', keys = {'k'}}
        collectgarbage()
        collectgarbage()
        assert.are.equal(value, owned.value)
        owned = nil -- luacheck: ignore
        collectgarbage()
        collectgarbage()
        assert.is_true(tonumber(box.slab.info().items_used) <= held - #value)
    end)

    it('are given back by nobody: the collector may run while they are read', function()
        local packed = msgpack.encode(borrowed.select(space.index.id, {'acme'}, box.index.EQ, 40))
        -- Twice: what has a finalizer goes in the second cycle.
        collectgarbage()
        collectgarbage()
        assert.are.equal(packed, msgpack.encode(borrowed.select(space.index.id, {'acme'}, box.index.EQ, 40)))
        assert.are.equal(40, space.index.id:count{'acme'})
    end)

    it('are refused as select refuses: a key of the wrong kind, an iterator that is none', function()
        local ok, raised = pcall(borrowed.select, space.index.id, {7}, box.index.EQ, 1)
        assert.is_false(ok)
        assert.are.equal(box.error.KEY_PART_TYPE, raised.code)
        ok, raised = pcall(borrowed.select, space.index.id, {}, 99, 1)
        assert.is_false(ok)
        assert.are.equal(box.error.ILLEGAL_PARAMS, raised.code)
    end)
end)
