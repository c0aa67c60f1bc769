local bucket = require('lycosa.core.bucket')
local schema = require('lycosa.schema')
local support = require('tests.lua.support')

local NEXT = #schema.MIGRATIONS + 1

local function add_migration(up, id)
    local name = 'spec_migration'
    package.loaded['lycosa.schema.' .. name] = {id = id or NEXT, name = name, up = up}
    table.insert(schema.MIGRATIONS, name)
end

describe('schema', function()
    before_each(support.reset)

    after_each(function()
        box.rollback()
        schema.MIGRATIONS[NEXT] = nil
        package.loaded['lycosa.schema.spec_migration'] = nil
        box.space.schema_ledger:delete{NEXT}
        if box.space.spec_made then
            box.space.spec_made:drop()
        end
    end)

    it('is applied once', function()
        assert.are.equal(#schema.MIGRATIONS, schema.version())
        assert.are.equal(0, schema.apply())
    end)

    it('runs a new migration and writes it into the ledger', function()
        add_migration(function()
            box.schema.space.create('spec_made'):create_index('id')
        end)
        assert.are.equal(1, schema.apply())
        assert.are.equal(NEXT, schema.version())
        assert.is_not_nil(box.space.spec_made)
        local row = box.space.schema_ledger:get(NEXT)
        assert.are.equal('spec_migration', row.name)
        assert.are.equal(64, #row.checksum)
        assert.are.equal(0, schema.apply())
    end)

    it('goes only as far as asked', function()
        add_migration(function()
            box.schema.space.create('spec_made')
        end)
        assert.are.equal(0, schema.apply(NEXT - 1))
        assert.is_nil(box.space.spec_made)
    end)

    it('leaves nothing of a migration that fails', function()
        add_migration(function()
            box.schema.space.create('spec_made'):create_index('id')
            box.space.spec_made:insert{1}
            error('broken on purpose')
        end)
        local ok, problem = pcall(schema.apply)
        assert.is_false(ok)
        assert.is_truthy(tostring(problem):find('broken on purpose', 1, true))
        assert.is_nil(box.space.spec_made)
        assert.are.equal(NEXT - 1, schema.version())
        assert.is_false(box.is_in_txn())
    end)

    it('refuses a ledger newer than the code', function()
        box.space.schema_ledger:insert{NEXT, 'future', 'x', 0}
        local details = support.raises('SCHEMA_NEWER', schema.apply)
        assert.are.same({found = NEXT, known = NEXT - 1}, details)
    end)

    it('refuses a migration that was edited after it ran', function()
        local kept = box.space.schema_ledger:get(2).checksum
        box.space.schema_ledger:update(2, {{'=', 3, 'other'}})
        local ok, raised = pcall(support.raises, 'SCHEMA_CHANGED', schema.apply)
        box.space.schema_ledger:update(2, {{'=', 3, kept}})
        assert.is_true(ok, tostring(raised))
        assert.are.equal(2, raised.id)
    end)

    it('refuses a migration out of its place', function()
        add_migration(function() end, NEXT + 1)
        assert.has_error(schema.apply)
    end)

    it('gives every space of a tenant its tenant and bucket, and every key its tenant', function()
        for _, row in box.space._space:pairs({511}, {iterator = 'GT'}) do
            local space = box.space[row[3]]
            if space.name ~= 'schema_ledger' then
                local format = space:format()
                assert.are.same({'tenant', 'string'}, {format[1].name, format[1].type}, space.name)
                assert.are.same({'bucket_id', 'unsigned'}, {format[2].name, format[2].type}, space.name)
                assert.are.equal(1, space.index[0].parts[1].fieldno, space.name)
                for id, index in pairs(space.index) do
                    local keyed = false
                    for _, part in ipairs(index.parts) do
                        keyed = keyed or part.fieldno == 1
                    end
                    assert.is_true(keyed, space.name .. '.' .. tostring(id))
                end
            end
        end
    end)
end)

describe('bucket', function()
    -- Frozen for ever: these values stand in stored rows.
    it('is what it has always been', function()
        assert.are.equal(2890, bucket.of('acme'))
        assert.are.equal(5920, bucket.of('a'))
        assert.are.equal(5585, bucket.of('Ёлка'))
    end)

    it('lies within its range and is spread', function()
        local seen, distinct = {}, 0
        for i = 1, 3000 do
            local number = bucket.of('tenant-' .. i)
            assert.is_true(number >= 1 and number <= 30000 and number % 1 == 0)
            distinct = distinct + (seen[number] and 0 or 1)
            seen[number] = true
        end
        assert.is_true(distinct > 2700)
    end)
end)
