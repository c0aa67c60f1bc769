-- Many takes in one call.

local support = require('tests.lua.support')

local function used()
    return lycosa.quota.report{tenant = 'acme'}.rows[1].used
end

describe('quota.take_many', function()
    before_each(support.reset)

    it('decides each alone, in order, and undoes nothing for one that is refused', function()
        lycosa.quota.define{tenant = 'acme', quota = 'day', kind = 'window', amount = 5, window = 'day'}
        local outcomes = lycosa.quota.take_many{tenant = 'acme', takes = {
            {{quota = 'day', amount = 3}}, {{quota = 'day', amount = 3}}, {{quota = 'nowhere', amount = 1}},
            {{quota = 'day', amount = 2}}, {{quota = 'day', amount = 1}},
        }}
        assert.are.equal(2, outcomes[1][1][1][2])
        assert.are.equal(0, outcomes[4][1][1][2])
        for position, code in pairs{[2] = 'QUOTA_EXCEEDED', [3] = 'QUOTA_UNKNOWN', [5] = 'QUOTA_EXCEEDED'} do
            assert.are.equal(code, outcomes[position][2]:match('^[A-Z_]+'))
            assert.is_true(outcomes[position][1] == nil)
        end
        assert.are.equal(5, used())
    end)

    it('undoes all when it fails', function()
        lycosa.quota.define{tenant = 'acme', quota = 'day', kind = 'window', amount = 5, window = 'day'}
        support.raises('INVALID_ARGUMENT', lycosa.quota.take_many, {tenant = 'acme', takes = {
            {{quota = 'day', amount = 3}}, {{quota = 'day', amount = 0}},
        }})
        assert.are.equal(0, used())
    end)
end)
