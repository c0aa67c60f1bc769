local cache = require('lycosa.cache')
local clock = require('lycosa.core.clock')
local errors = require('lycosa.core.errors')
local memory = require('lycosa.core.memory')
local pool = require('lycosa.cache.pool')
local sieve = require('lycosa.cache.sieve')
local support = require('tests.lua.support')

local number = 0

local function fresh_tenant()
    number = number + 1
    return 'evicted-' .. number
end

local function set(tenant, key, bytes, more)
    local args = {tenant = tenant, key = key, value = ('v'):rep(bytes or 900), ttl = 1000}
    return lycosa.cache.set(support.with(args, more))
end

local function has(tenant, key)
    return box.space.cache_entry:get{tenant, key} ~= nil
end

local function get(tenant, key)
    return lycosa.cache.get{tenant = tenant, key = key} ~= nil
end

local function figures(tenant)
    return lycosa.cache.figures{tenant = tenant}
end

-- The sum of all weights by walking every entry.
local function recount()
    local bytes, by_tenant = 0, {}
    for _, entry in box.space.cache_entry:pairs() do
        bytes = bytes + pool.weight(entry)
        by_tenant[entry.tenant] = (by_tenant[entry.tenant] or 0) + pool.weight(entry)
    end
    return bytes, by_tenant
end

describe('the weight of an entry', function()
    before_each(support.reset)

    it('is its tuple and its places in the indexes, and the sums are counters of the engine', function()
        local tenant = fresh_tenant()
        for i = 1, 50 do
            set(tenant, 'k' .. i, i * 10, {tags = i % 2 == 0 and {'a', 'ж' .. i, 'a'} or {}})
        end
        set(tenant, 'k1', 3000, {tags = {'b'}})
        lycosa.cache.delete{tenant = tenant, keys = {'k2', 'k3'}}
        local bytes = recount()
        assert.are.equal(bytes, figures().bytes)
        assert.are.equal(bytes, figures(tenant).bytes)
    end)

    it('counts every tag, up to the most that are taken', function()
        local tenant, tags = fresh_tenant(), {}
        for count = 0, 16 do
            tags[count] = count > 0 and 'tag' .. count or nil
            set(tenant, 'k' .. count, 10, {tags = tags})
            local entry = box.space.cache_entry:get{tenant, 'k' .. count}
            assert.are.equal(entry:bsize() + 72 + 24 * count, pool.weight(entry))
        end
    end)

    it('is close to what the engine takes for tuples and indexes', function()
        local space = box.space.cache_entry
        box.begin()
        for i = 1, 20000 do
            local key, is_tagged = ('%x'):format(math.random(2 ^ 40)), i % 10 == 0
            local tags, labels = is_tagged and {'a', 'b'} or {}, is_tagged and {i, 1e9 + i} or {}
            space:replace{'acme', 1, key, 'value', 'text/plain', 1, 2, 3, false, tags, i, i, i, labels}
        end
        box.commit()
        local engine = tonumber(space:bsize())
        for id = 0, 3 do
            engine = engine + tonumber(space.index[id]:bsize())
        end
        local ratio = figures().bytes / engine
        assert.is_true(ratio > 0.9 and ratio < 1.15, tostring(ratio))
    end)

    it('is estimated from above before an entry is made', function()
        local tenant = fresh_tenant()
        for _, case in ipairs({{'k', 0, {}}, {('k'):rep(512), 70000, {'a', ('t'):rep(128)}}, {'ключ', 40, {'a'}}}) do
            local item = {key = case[1], value = ('v'):rep(case[2]), media_type = 'text/plain', tags = case[3]}
            set(tenant, item.key, case[2], {media_type = item.media_type, tags = item.tags, stale_for = 0.123})
            local weight = pool.weight(box.space.cache_entry:get{tenant, item.key})
            local estimate = pool.weight_of(tenant, item)
            assert.is_true(estimate >= weight and estimate < weight + 60, ('%d %d'):format(estimate, weight))
        end
    end)
end)

describe('SIEVE', function()
    local tenant

    before_each(function()
        support.reset()
        tenant = fresh_tenant()
    end)

    local function walk(wanted, limit, ruthless)
        box.begin()
        local freed, examined = sieve.walk(pool.of('k'), tenant, wanted, limit, clock.now(), ruthless)
        box.commit()
        return freed, examined
    end

    local function left()
        local keys = {}
        for _, entry in support.entries_of(tenant) do
            table.insert(keys, entry.key)
        end
        return table.concat(keys, ' ')
    end

    local function fill(keys)
        for key in keys:gmatch('%S+') do
            set(tenant, key, 10)
        end
    end

    it('spares what was read, once, and goes on where it stopped', function()
        fill('a b c d e f')
        get(tenant, 'a')
        get(tenant, 'c')
        walk(1, 100)
        assert.are.equal('a c d e f', left())
        walk(1, 100)
        assert.are.equal('a c e f', left())
        -- New entries come at the far end; the hand reaches them before it begins again.
        fill('g')
        walk(1, 100)
        walk(1, 100)
        walk(1, 100)
        assert.are.equal('a c', left())
        get(tenant, 'a')
        walk(1, 100)
        assert.are.equal('a', left())
    end)

    it('counts the rows it looks at, not those it lets go', function()
        fill('a b c d e f')
        for key in ('a b c d'):gmatch('%S') do
            get(tenant, key)
        end
        local freed, examined = walk(1, 3)
        assert.are.same({0, 3}, {freed, examined})
        freed, examined = walk(1, 100)
        assert.is_true(freed > 0)
        assert.are.equal(2, examined)
        assert.are.equal('a b c d f', left())
    end)

    it('goes round when all were read, and ends when nothing is left', function()
        fill('a b c')
        for key in ('a b c'):gmatch('%S') do
            get(tenant, key)
        end
        local _, examined = walk(1, 100)
        assert.are.equal(4, examined)
        assert.are.equal('b c', left())
        walk(1e9, 100)
        assert.are.equal('', left())
        assert.are.same({0, 0}, {walk(1e9, 100)})
        assert.are.equal(3, figures(tenant).evicted)
        assert.are.same({0, 0}, {figures(tenant).entries, figures(tenant).bytes})
    end)

    it('lets go of what was read when it must, and of what expired in any case', function()
        fill('a b')
        get(tenant, 'a')
        walk(1, 100, true)
        assert.are.equal('b', left())
        set(tenant, 'late', 10, {ttl = 1})
        get(tenant, 'b')
        get(tenant, 'late')
        clock.advance(1)
        walk(1, 100)
        assert.are.equal('b', left())
        assert.are.same({1, 1}, {figures(tenant).evicted, figures(tenant).expired})
    end)

    it('keeps the place of an entry that is set again, and counts it as read', function()
        fill('a b c')
        set(tenant, 'a', 20)
        walk(1, 100)
        assert.are.equal('a c', left())
        -- One that had expired is new.
        set(tenant, 'a', 20, {ttl = 1})
        clock.advance(1)
        set(tenant, 'a', 20)
        assert.are.equal('c a', left())
    end)

    it('shares marks between entries whose numbers are alike in the array, and does no other harm', function()
        fill('a b')
        local seq = box.space.cache_entry:get{tenant, 'a'}.seq
        sieve.mark(seq + 2 ^ 30)
        walk(1, 100)
        assert.are.equal('a', left())
        sieve.configure(1)
    end)
end)

describe('the budget', function()
    local BUDGET = 8 * 1048576

    before_each(function()
        support.reset()
        cache.configure{cache_budget = BUDGET, cache_share = 50}
    end)

    after_each(function()
        support.reset()
        cache.configure{}
    end)

    it('is a quarter of the memory unless told, and a tenant has a share of it', function()
        assert.are.same({BUDGET, BUDGET / 2}, {figures().budget, figures('anybody').budget})
        cache.configure{}
        assert.are.equal(box.cfg.memtx_memory / 4, figures().budget)
        cache.configure{cache_budget = BUDGET, cache_share = 10}
        assert.are.equal(math.floor(BUDGET / 10), figures('anybody').budget)
    end)

    it('is never passed, and no set is refused, whatever the sizes', function()
        local tenant = fresh_tenant()
        math.randomseed(5)
        local most, sizes = 0, {10, 100, 1000, 10000, 100000, 1000000}
        for i = 1, 600 do
            set(tenant, 'k' .. math.random(2000), sizes[math.random(math.random(#sizes))])
            get(tenant, 'k' .. math.random(2000))
            most = math.max(most, figures().bytes)
            if i % 100 == 0 then
                local bytes, by_tenant = recount()
                assert.are.same({bytes, by_tenant[tenant]}, {figures().bytes, figures(tenant).bytes})
            end
        end
        assert.is_true(most > BUDGET * 0.9 and most <= BUDGET * 1.02, tostring(most / BUDGET))
        assert.is_true(figures(tenant).evicted > 100)
    end)

    it('is kept by batches, and when everything was read', function()
        local tenant = fresh_tenant()
        for i = 1, 1000 do
            set(tenant, 'k' .. i, 9000)
            get(tenant, 'k' .. i)
        end
        for i = 1, 8 do
            local items = {}
            for j = 1, 5 do
                items[j] = {key = ('%d-%d'):format(i, j), value = ('x'):rep(700000), ttl = 10}
            end
            items[5] = {key = items[1].key, value = ('y'):rep(700000), ttl = 10}
            lycosa.cache.set_many{tenant = tenant, entries = items}
            assert.is_true(figures().bytes <= BUDGET * 1.02)
            assert.is_true(get(tenant, items[5].key))
        end
        assert.are.equal(recount(), figures().bytes)
    end)

    it('is kept ahead of need by the step, down to a low mark, a bounded number at a time', function()
        local tenant = fresh_tenant()
        for i = 1, 700 do
            set(tenant, 'k' .. i, 9000)
        end
        assert.are.equal(0, figures(tenant).evicted)
        -- Now nearly full; no set wakes the background loop, so every slice is one of ours.
        local budget = math.floor(figures().bytes / 0.99)
        cache.configure{cache_budget = budget, cache_share = 50}
        local step = cache.steps[2]
        assert.is_true(step.run(10))
        assert.are.equal(10, figures(tenant).evicted)
        assert.is_true(step.run(10))
        assert.is_false(step.run(10))
        local kept = figures().bytes / budget
        assert.is_true(kept <= 0.96 and kept > 0.95, tostring(kept))
        assert.is_false(step.run(10))
        assert.are.equal(kept, figures().bytes / budget)
        assert.is_false(has(tenant, 'k1'))
        assert.is_true(has(tenant, 'k700'))
    end)

    it('takes from the largest first', function()
        local large, small, new = fresh_tenant(), fresh_tenant(), fresh_tenant()
        for i = 1, 460 do
            set(large, 'k' .. i, 9000)
        end
        for i = 1, 250 do
            set(small, 'k' .. i, 9000)
        end
        for i = 1, 200 do
            set(new, 'k' .. i, 9000)
        end
        assert.are.equal(0, figures(small).evicted)
        assert.are.equal(0, figures(new).evicted)
        assert.is_true(figures(large).evicted > 0)
    end)

    it('lets a tenant above its share give way to its own sets, and takes nothing of those within theirs', function()
        cache.configure{cache_budget = BUDGET, cache_share = 20}
        local quiet, large, flood = fresh_tenant(), fresh_tenant(), fresh_tenant()
        for i = 1, 140 do
            set(quiet, 'k' .. i, 9000)
        end
        for i = 1, 250 do
            set(large, 'k' .. i, 9000)
        end
        for i = 1, 900 do
            set(flood, 'k' .. i, 9000)
        end
        local of_quiet, of_large = figures(quiet), figures(large)
        assert.is_true(of_quiet.bytes < of_quiet.budget)
        assert.are.equal(0, of_quiet.evicted)
        assert.is_true(of_large.bytes >= of_large.budget, tostring(of_large.bytes))
        assert.is_true(figures(flood).evicted > 400)
    end)

    describe('above the mark of the memory', function()
        local admit = memory.admit

        -- As if others had filled the memory beyond the mark of what can be made again.
        local function full(space, class, bytes)
            if class == 'cache' then
                errors.raise('MEMORY_FULL', {used = 81, space = space, limit = 80, retry_after = 1})
            end
            return admit(space, class, bytes)
        end

        after_each(function()
            memory.admit = admit
        end)

        it('keeps three quarters, exchanges within them, and refuses what is larger, changing nothing', function()
            local tenant = fresh_tenant()
            for i = 1, 60 do
                set(tenant, 'k' .. i, 10000)
            end
            local bytes = figures().bytes
            memory.admit = full
            for i = 1, 30 do
                set(tenant, 'new' .. i, 5000)
                set(tenant, 'k60', 9000)
                set(tenant, 'tiny' .. i, 1)
            end
            local kept = figures().bytes / bytes
            assert.is_true(kept <= 0.76 and kept > 0.72, tostring(kept))
            assert.is_true(figures(tenant).evicted < 50)
            local before = figures(tenant)
            support.raises('MEMORY_FULL', set, tenant, 'k60', 700000)
            assert.are.same(before, figures(tenant))
            -- Below the mark it grows again.
            memory.admit = admit
            set(tenant, 'k60', 700000)
            assert.is_true(figures().bytes > bytes * 1.5)
        end)

        it('refuses when there is nothing whose place could be taken', function()
            memory.admit = full
            support.raises('MEMORY_FULL', set, fresh_tenant(), 'k')
        end)
    end)
end)
