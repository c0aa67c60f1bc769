local packed = require('lycosa.document.packed')
local postings = require('lycosa.document.postings')
local reader = require('lycosa.document.reader')
local support = require('tests.lua.support')

describe('packed postings', function()
    before_each(support.reset)

    local function append(from, last, stride)
        box.begin()
        local batch = {}
        for chunk = from, last, stride or 1 do
            table.insert(batch, chunk)
            table.insert(batch, 1)
            table.insert(batch, 50)
        end
        postings.append('acme', 1, {'term'}, {batch})
        box.commit()
    end

    local function remove(list)
        box.begin()
        local gone, removed = postings.remove('acme', {'term'}, {list})
        box.commit()
        return gone, removed
    end

    local function blocks()
        local answer = {}
        for _, row in box.space.document_posting:pairs() do
            table.insert(answer, #row.postings / packed.POSTING_BYTES)
        end
        return answer
    end

    it('take at most 12 bytes each', function()
        assert.is_true(packed.POSTING_BYTES <= 12)
    end)

    it('form blocks of bounded size and span', function()
        append(0, 3 * packed.BLOCK + 10)
        assert.are.same({packed.BLOCK, packed.BLOCK, packed.BLOCK}, blocks())
        append(100000, 100000 + 5 * packed.SPAN, packed.SPAN)
        assert.are.same({packed.BLOCK, packed.BLOCK, packed.BLOCK, 11, 2, 2}, blocks())
        local term = box.space.document_term:get{'acme', 'term'}
        assert.are.equal(3 * packed.BLOCK + 17, term.frequency)
    end)

    -- The last of 36 full blocks, one posting every three passages.
    local LAST = 7 + 36 * packed.BLOCK * 3 - 3

    it('are read forwards from any passage, through any number of blocks', function()
        append(7, LAST, 3)
        postings.append('acme', 1, {'tern'}, {{1, 1, 50}})
        for _, stride in ipairs({1, 1000, 2999, 36000, 100000}) do
            local self, at = reader.open('acme', 'term'), 0
            while reader.seek(self, at) do
                local found = self.base + self.postings[self.position].at
                assert.are.equal(math.max(7, at + (7 - at) % 3), found)
                at = stride == 1 and self.last + 1 or at + stride
            end
            assert.is_true(at > LAST)
        end
        assert.is_nil(reader.open('acme', 'ter'))
    end)

    it('join when they become sparse, and vanish when they are empty', function()
        append(0, 2 * packed.BLOCK - 1)
        append(2 * packed.BLOCK, 2 * packed.BLOCK)
        local dead = {}
        for chunk = 0, 2 * packed.BLOCK - 1 do
            if chunk % 8 > 0 then
                table.insert(dead, chunk)
            end
        end
        assert.are.same({0, #dead}, {remove(dead)})
        assert.are.equal(1, #blocks())
        assert.are.same({0, 0}, {remove(dead)})
        dead = {2 * packed.BLOCK}
        for chunk = 0, 2 * packed.BLOCK - 1, 8 do
            table.insert(dead, chunk)
        end
        assert.are.same({1, #dead}, {remove(dead)})
        assert.are.same({}, blocks())
        assert.are.equal(0, box.space.document_term:len())
    end)
end)
