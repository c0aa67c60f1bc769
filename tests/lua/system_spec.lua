local support = require('tests.lua.support')

describe('system', function()
    before_each(support.reset)

    it('gives the digest of every procedure', function()
        local answer = lycosa.system.contract{}
        assert.are.equal(16, #answer.digest)
        for _, described in ipairs(lycosa.contract()) do
            assert.are.equal(described.digest, answer.procedures[described.name])
        end
    end)

    it('describes every procedure with a document, arguments and declared errors', function()
        local described = lycosa.system.describe{}
        assert.is_true(#described.procedures >= 4)
        for _, procedure in ipairs(described.procedures) do
            assert.is_true(#procedure.doc > 10, procedure.name)
            for _, code in ipairs(procedure.errors) do
                assert.is_not_nil(described.errors[code], code)
            end
        end
    end)

    it('says that it is healthy and writable', function()
        local health = lycosa.system.health()
        assert.are.equal('running', health.status)
        assert.is_true(health.writable)
    end)

    it('counts calls and errors of a procedure', function()
        local before = lycosa.system.figures{}.procedures['system.health'] or {calls = 0, errors = 0}
        lycosa.system.health{}
        support.raises('UNKNOWN_ARGUMENT', lycosa.system.health, {colour = 'red'})
        local after = lycosa.system.figures{}.procedures['system.health']
        assert.are.equal(before.calls + 2, after.calls)
        assert.are.equal(before.errors + 1, after.errors)
        assert.is_true(after.seconds > 0)
    end)
end)
