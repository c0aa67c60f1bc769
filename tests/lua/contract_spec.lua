local T = require('lycosa.core.types')
local clock = require('lycosa.core.clock')
local contract = require('lycosa.core.contract')
local fiber = require('fiber')
local metrics = require('lycosa.core.metrics')
local support = require('tests.lua.support')

local ROW = {'acme', 1, 'k', 'v', 'text/plain', 0, 1e12, 1e12, false, {}, 1, 1, 1, {}}

local function declare(changes)
    local declaration = {
        name = 'spec.run', access = 'app', mode = 'read', doc = 'Does what the spec wants.', args = {{'tenant', T.name}},
        returns = T.none, errors = {}, run = function() end,
    }
    return support.with(declaration, changes)
end

local function load(changes)
    local root = {}
    local descriptions = contract.load({declare(changes)}, root)
    return root.spec.run, descriptions[1]
end

local function insert()
    box.space.cache_entry:insert(ROW)
end

local function stored()
    return box.space.cache_entry:get{'acme', 'k'} ~= nil
end

describe('binding', function()
    it('gives run the checked arguments, defaults filled', function()
        local seen
        local run = load{
            args = {{'tenant', T.name}, {'limit', T.integer{min = 1, max = 9}, default = 5}, {'by', T.name, optional = true}},
            run = function(args)
                seen = args
                return 'answer'
            end,
        }
        assert.are.equal('answer', run{tenant = 'acme'})
        assert.are.same({tenant = 'acme', limit = 5}, seen)
        run{tenant = 'acme', limit = 9, by = 'x'}
        assert.are.same({tenant = 'acme', limit = 9, by = 'x'}, seen)
    end)

    it('names what it refuses and runs nothing', function()
        local runs = 0
        local run = load{
            args = {{'tenant', T.name}, {'rows', T.list(T.record('Row', {{'id', T.name}}), {max = 2}), optional = true}},
            run = function() runs = runs + 1 end,
        }
        assert.are.equal('tenant', support.raises('INVALID_ARGUMENT', run, {}).argument)
        assert.are.equal('tenant', support.raises('INVALID_ARGUMENT', run).argument)
        assert.are.equal('tenant', support.raises('INVALID_ARGUMENT', run, {tenant = 'a\0b'}).argument)
        assert.are.equal('#1', support.raises('INVALID_ARGUMENT', run, 'acme').argument)
        local unknown = support.raises('UNKNOWN_ARGUMENT', run, {tenant = 'acme', colour = 'red'})
        assert.are.same({argument = 'colour', procedure = 'spec.run'}, unknown)
        assert.are.equal(
            'rows[2].id', support.raises('INVALID_ARGUMENT', run, {tenant = 'acme', rows = {{id = 'a'}, {}}}).argument
        )
        assert.are.equal(
            'rows[1].no', support.raises('INVALID_ARGUMENT', run, {tenant = 'acme', rows = {{id = 'a', no = 1}}}).argument
        )
        assert.are.equal(0, runs)
    end)

    it('refuses work whose deadline has passed, and undone it stays', function()
        local run = load{mode = 'write', run = insert}
        local details = support.raises('DEADLINE_EXCEEDED', run, {tenant = 'acme'}, clock.wall() - 0.5)
        assert.is_true(details.late >= 0.5 and details.retry_after > 0)
        assert.is_false(stored())
        run({tenant = 'acme'}, clock.wall() + 10)
        assert.is_true(stored())
    end)
end)

describe('transactions', function()
    before_each(support.reset)

    after_each(function()
        box.rollback()
        box.cfg{read_only = false}
    end)

    it('hold a write whole, and leave none open', function()
        local inside
        local run = load{mode = 'write', run = function()
            inside = box.is_in_txn()
            insert()
            return 7
        end}
        assert.are.equal(7, run{tenant = 'acme'})
        assert.is_true(inside)
        assert.is_true(stored())
        assert.is_false(box.is_in_txn())
    end)

    it('undo a write that raises, whatever it raises', function()
        for _, problem in ipairs({'catalogued', 'text', 'table', 'box'}) do
            local run = load{mode = 'write', errors = {'REQUEST_NOT_FOUND'}, run = function()
                insert()
                if problem == 'catalogued' then
                    require('lycosa.core.errors').raise('REQUEST_NOT_FOUND', {id = 'x'})
                elseif problem == 'text' then
                    error('a bug')
                elseif problem == 'table' then
                    error({1})
                end
                insert()
            end}
            local ok, raised = pcall(run, {tenant = 'acme'})
            assert.is_false(ok)
            assert.are.equal(5000, raised.code)
            assert.is_false(box.is_in_txn())
            assert.is_false(stored())
            local wanted = problem == 'catalogued' and '^REQUEST_NOT_FOUND: ' or '^INTERNAL: spec.run failed'
            assert.is_truthy(tostring(raised):find(wanted))
        end
    end)

    it('say nothing of a bug but where its trace is', function()
        local run = load{run = function() error('secret text') end}
        local ok, raised = pcall(run, {tenant = 'acme'})
        assert.is_false(ok)
        assert.is_nil(tostring(raised):find('secret', 1, true))
    end)

    it('open none for reads and waits', function()
        for _, mode in ipairs({'read', 'wait'}) do
            local inside
            load{mode = mode, run = function() inside = box.is_in_txn() end}{tenant = 'acme'}
            assert.is_false(inside)
        end
    end)

    it('undo only their own part within a transaction of the console', function()
        local good = load{mode = 'write', run = insert}
        local bad = load{mode = 'write', run = function()
            box.space.cache_entry:insert{'acme', 1, 'other', 'v', 'text/plain', 0, 1e12, 1e12, false, {}, 1, 1, 1, {}}
            error('a bug')
        end}
        box.begin()
        good{tenant = 'acme'}
        assert.is_false((pcall(bad, {tenant = 'acme'})))
        assert.is_true(box.is_in_txn())
        box.commit()
        assert.is_true(stored())
        assert.are.equal(1, box.space.cache_entry:len())
    end)

    it('wait only before they begin, and not at all within a transaction of the console', function()
        local seen = {}
        local run = load{
            mode = 'write',
            prepare = function(args)
                table.insert(seen, {args.tenant, box.is_in_txn()})
                fiber.yield()
                return 'found'
            end,
            run = function(_, prepared)
                table.insert(seen, {prepared, box.is_in_txn()})
            end,
        }
        run{tenant = 'acme'}
        box.begin()
        run{tenant = 'acme'}
        box.commit()
        assert.are.same({{'acme', false}, {'found', true}, {nil, true}}, seen)
    end)

    it('are refused when a write yields', function()
        local run = load{mode = 'write', run = function()
            insert()
            fiber.yield()
        end}
        assert.is_false((pcall(run, {tenant = 'acme'})))
        assert.is_false(box.is_in_txn())
        assert.is_false(stored())
    end)

    it('say read-only and full memory in the words of the catalogue', function()
        local run = load{mode = 'write', run = insert}
        box.cfg{read_only = true}
        support.raises('READ_ONLY', run, {tenant = 'acme'})
        box.cfg{read_only = false}
        local full = load{mode = 'write', run = function()
            insert()
            box.error(box.error.MEMORY_ISSUE, 100, 'slab allocator', 'memtx_tuple')
        end}
        assert.is_true(support.raises('MEMORY_FULL', full, {tenant = 'acme'}).retry_after > 0)
        assert.is_false(stored())
        local disk = load{mode = 'write', run = function() box.error(box.error.WAL_IO) end}
        support.raises('COMMIT_FAILED', disk, {tenant = 'acme'})
    end)
end)

describe('declarations', function()
    it('are refused when they are wrong', function()
        local wrong = {
            {name = 'spec'}, {name = 'Spec.run'}, {name = 'spec.run.more'}, {mode = 'sometimes'}, {access = 'all'}, {doc = 'x'},
            {run = 5}, {returns = {}}, {errors = {'NO_SUCH_CODE'}},
        }
        for i, changes in ipairs(wrong) do
            assert.has_error(function() load(changes) end, nil, i)
        end
        assert.has_error(function() contract.load({declare(), declare()}, {}) end)
    end)

    it('refuse a deadline that is no number', function()
        local details = support.raises('INVALID_ARGUMENT', lycosa.system.health, {}, 'soon')
        assert.are.equal('#2', details.argument)
    end)

    it('pack the rows of an answer for the caller that asks, and for no other', function()
        local run = load{
            returns = T.record('Page', {{'rows', T.list(T.integer(), {max = 3})}}), packs = 'rows', args = {},
            run = function() return {rows = {1, 2}} end,
        }
        assert.are.same({rows = {1, 2}}, run{})
        assert.are.same({1, 2}, (require('msgpack').decode(run({}, nil, true).rows)))
    end)

    it('become descriptions: sorted errors, reads idempotent', function()
        local _, described = load{errors = {'REQUEST_NOT_FOUND', 'INVALID_CURSOR'}, packs = 'rows'}
        assert.are.same({'INVALID_CURSOR', 'REQUEST_NOT_FOUND'}, described.errors)
        assert.is_true(described.idempotent)
        assert.are.equal('rows', described.packs)
        assert.are.equal(16, #described.digest)
        assert.is_false(select(2, load{mode = 'write'}).idempotent)
        assert.is_true(select(2, load{mode = 'write', idempotent = true}).idempotent)
    end)

    it('change their digest with their meaning, not with their words', function()
        local function digest_of(changes)
            return select(2, load(changes)).digest
        end
        local plain = digest_of()
        assert.are.equal(plain, digest_of())
        assert.are.equal(plain, digest_of{doc = 'Told in quite other words.'})
        assert.are.equal(plain, digest_of{args = {{'tenant', T.name, doc = 'whose'}}})
        local others = {
            {mode = 'write'}, {access = 'read'}, {args = {}}, {args = {{'tenant', T.name, optional = true}}},
            {args = {{'tenant', T.text{max = 5}}}}, {args = {{'owner', T.name}}}, {returns = T.name},
            {errors = {'INVALID_CURSOR'}}, {args = {{'tenant', T.name}, {'more', T.name, optional = true}}},
        }
        local seen = {[plain] = true}
        for _, changes in ipairs(others) do
            local digest = digest_of(changes)
            assert.is_nil(seen[digest])
            seen[digest] = true
        end
        local _, one = load()
        assert.are_not.equal(contract.digest{one}, contract.digest{one, one})
    end)
end)

describe('figures of a procedure', function()
    it('count calls, errors and time', function()
        local root = {}
        contract.load({declare{name = 'spec.counted', mode = 'wait', run = function(args)
            fiber.sleep(0.01)
            assert(args.tenant ~= 'bad')
        end}}, root)
        root.spec.counted{tenant = 'acme'}
        pcall(root.spec.counted, {tenant = 'bad'})
        local figures = metrics.collect().procedures['spec.counted']
        assert.are.same({2, 1}, {figures.calls, figures.errors})
        assert.is_true(figures.slowest > 0.005 and figures.seconds >= figures.slowest)
    end)

    it('stand beside counters and gauges', function()
        metrics.count('spec.things')
        metrics.count('spec.things', 4)
        metrics.gauge('spec.level', function() return 9 end)
        local collected = metrics.collect()
        assert.are.equal(5, collected.counters['spec.things'])
        assert.are.equal(9, collected.gauges['spec.level'])
    end)
end)
