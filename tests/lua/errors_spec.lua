local errors = require('lycosa.core.errors')
local utf8 = require('utf8')

local KINDS = {invalid = true, denied = true, not_found = true, conflict = true, exhausted = true, unavailable = true}

describe('errors', function()
    it('stand in the catalogue with a kind and a message', function()
        for code, declared in pairs(errors.catalogue) do
            assert.is_truthy(code:match('^[A-Z][A-Z_]*$'), code)
            assert.is_true(KINDS[declared.kind], code)
            assert.is_true(#declared.message > 10, code)
        end
    end)

    it('cross as code, message and details, and are taken apart again', function()
        local ok, raised = pcall(errors.raise, 'REQUEST_NOT_FOUND', {id = 'заявка 7'})
        assert.is_false(ok)
        assert.are.equal(
            'REQUEST_NOT_FOUND: request заявка 7 does not exist {"id":"заявка 7"}', tostring(raised)
        )
        assert.are.equal(5000, raised.code)
        local code, details = errors.parse(raised)
        assert.are.equal('REQUEST_NOT_FOUND', code)
        assert.are.same({id = 'заявка 7'}, details)
    end)

    it('keep numbers and booleans of their details', function()
        local _, raised = pcall(errors.raise, 'INVALID_CURSOR', {problem = 'x', retry_after = 1.5, final = true})
        local _, details = errors.parse(raised)
        assert.are.same({problem = 'x', retry_after = 1.5, final = true}, details)
    end)

    it('never reach the 511 bytes of the wire and stay valid UTF-8', function()
        local hostile = {
            ('я'):rep(1000), ('x' .. 'я'):rep(1000), ('"'):rep(1000), ('\\'):rep(1000), ('\1'):rep(1000), ('{'):rep(1000),
            '\255\254' .. ('z'):rep(300), ('日'):rep(500),
        }
        for code in pairs(errors.catalogue) do
            for _, text in ipairs(hostile) do
                local details = {
                    id = text, argument = text, problem = text, procedure = text, space = text, extra = text, more = text,
                }
                local message = errors.text(code, details)
                assert.is_true(#message <= 511, code .. ' ' .. #message)
                assert.is_not_nil(utf8.len(message), code)
                assert.is_nil(message:find('%c'), code)
                local found, parsed = errors.parse(message)
                assert.are.equal(code, found)
                assert.are.equal('table', type(parsed))
            end
        end
    end)

    it('carry odd details as text', function()
        local text = errors.text('REQUEST_NOT_FOUND', {id = {1}, other = box.NULL, big = 18446744073709551615ULL})
        local code, details = errors.parse(text)
        assert.are.equal('REQUEST_NOT_FOUND', code)
        assert.are.equal('string', type(details.id))
        assert.is_truthy(tostring(details.big):find('18446744073709551615', 1, true))
        assert.is_truthy(errors.text('REQUEST_NOT_FOUND', {}):find('request ? does not exist {}', 1, true))
    end)

    it('refuse codes that nobody declared', function()
        local ok, raised = pcall(errors.raise, 'NO_SUCH_CODE', {})
        assert.is_false(ok)
        assert.is_truthy(tostring(raised):find('not in the catalogue', 1, true))
        assert.is_nil(errors.parse(raised))
    end)

    it('are not seen in what is none', function()
        for _, raised in ipairs({'boom', 'NO_SUCH_CODE: x {}', 'request r-1 does not exist', 7, {}, box.error.new(1, 'x')}) do
            assert.is_nil(errors.parse(raised))
        end
        local code, details = errors.parse('REQUEST_NOT_FOUND: broken {"id":')
        assert.are.equal('REQUEST_NOT_FOUND', code)
        assert.are.same({}, details)
    end)
end)
