local fio = require('fio')
local huge_pages = require('lycosa.core.memory.huge_pages')

describe('huge pages', function()
    it('are asked for where the arena stands', function()
        local offered = fio.path.exists('/sys/kernel/mm/transparent_hugepage/enabled')
        local advised = huge_pages.advise(box.cfg.memtx_memory)
        if offered then
            assert.is_true(advised >= 1)
        else
            assert.are.equal(0, advised)
        end
    end)

    it('are asked for nowhere else', function()
        assert.are.equal(0, huge_pages.advise(2 ^ 46))
    end)
end)
