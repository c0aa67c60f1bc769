local clock = require('lycosa.core.clock')
local history = require('tests.lua.history')
local support = require('tests.lua.support')

local ask, totals = history.ask, history.totals

local function counts()
    return {
        requests = box.space.request:len(), sources = box.space.request_source:len(), totals = box.space.request_total:len(),
    }
end

describe('request.append', function()
    before_each(support.reset)

    it('stores the request, its sources and the sums of the day', function()
        local row = lycosa.request.append(ask{
            customer_id = 'c-1', answer = 'Всё хорошо.\nAll is well.', model = 'small', cost_microusd = 1200, tokens_in = 30,
            tokens_out = 7, cached = true, duration_ms = 15,
            sources = {
                {kind = 'document', ref = 'd-1', title = 'Заметка', quote = 'Дела идут в гору'},
                {kind = 'web', ref = 'https://example.com/'},
            },
        })
        assert.are.equal('r-1', row.id)
        assert.are.equal(1700000000, row.created_at)
        local whole = lycosa.request.get{tenant = 'acme', id = 'r-1'}
        assert.are.equal('Всё хорошо.\nAll is well.', whole.request.answer)
        assert.are.equal(2, #whole.sources)
        assert.are.same({'document', 'd-1', 'Заметка', 'Дела идут в гору'}, {whole.sources[1]:unpack(5)})
        assert.are.same({2, 'web', 'https://example.com/', '', ''}, {whole.sources[2]:unpack(4)})
        assert.are.same(
            {requests = 1, cached = 1, failed = 0, cost_microusd = 1200, tokens_in = 30, tokens_out = 7}, totals()
        )
    end)

    it('writes nothing when the same is appended again, and answers what is stored', function()
        local args = ask{answer = 'yes', customer_id = 'c-1', error = 'slow', sources = {{kind = 'record', ref = 'c-1'}}}
        lycosa.request.append(args)
        local before = counts()
        clock.advance(5)
        local again = lycosa.request.append(args)
        assert.are.equal(1700000000, again.created_at)
        assert.are.same(before, counts())
        assert.are.equal(1, totals().requests)
    end)

    it('refuses the same id with other content, whatever differs', function()
        lycosa.request.append(ask{answer = 'yes', sources = {{kind = 'record', ref = 'c-1'}}})
        local same = {answer = 'yes', sources = {{kind = 'record', ref = 'c-1'}}}
        local others = {
            {answer = 'no'}, {question = 'Other?'}, {kind = 'search'}, {status = 'failed'}, {customer_id = 'c-2'},
            {model = 'large'}, {cost_microusd = 1}, {tokens_in = 1}, {tokens_out = 1}, {cached = true}, {duration_ms = 1},
            {error = 'why'}, {sources = {}}, {sources = {{kind = 'record', ref = 'c-2'}}},
            {sources = {{kind = 'web', ref = 'c-1'}}}, {sources = {{kind = 'record', ref = 'c-1', title = 'T'}}},
            {sources = {{kind = 'record', ref = 'c-1', quote = 'Q'}}},
        }
        for _, other in ipairs(others) do
            local args = ask(same)
            for name, value in pairs(other) do
                args[name] = value
            end
            local details = support.raises('REQUEST_EXISTS', lycosa.request.append, args)
            assert.are.equal('r-1', details.id)
        end
        local without_answer = ask(same)
        without_answer.answer = nil
        support.raises('REQUEST_EXISTS', lycosa.request.append, without_answer)
        assert.are.equal(1, totals().requests)
    end)

    it('keeps tenants apart', function()
        lycosa.request.append(ask())
        lycosa.request.append(ask{tenant = 'other', question = 'Mine?'})
        assert.are.equal('What is new?', lycosa.request.get{tenant = 'acme', id = 'r-1'}.request.question)
        assert.are.equal('Mine?', lycosa.request.get{tenant = 'other', id = 'r-1'}.request.question)
        support.raises('REQUEST_NOT_FOUND', lycosa.request.get, {tenant = 'third', id = 'r-1'})
        assert.are.equal(1, totals().requests)
    end)

    it('names what is wrong and writes nothing', function()
        local wrong = {
            tenant = {'a\1b', 'tenant'}, question = {'\255\254', 'question'}, status = {'lost', 'status'},
            cost_microusd = {-1, 'cost_microusd'}, tokens_in = {0 / 0, 'tokens_in'}, tokens_out = {1.5, 'tokens_out'},
            answer = {('x'):rep(262145), 'answer'}, error = {('x'):rep(1025), 'error'}, cached = {1, 'cached'},
            sources = {{{kind = 'rumour', ref = 'x'}}, 'sources[1].kind'},
        }
        for name, case in pairs(wrong) do
            local details = support.raises('INVALID_ARGUMENT', lycosa.request.append, ask{[name] = case[1]})
            assert.are.equal(case[2], details.argument)
        end
        local many = {}
        for i = 1, 65 do
            many[i] = {kind = 'web', ref = 'x'}
        end
        support.raises('INVALID_ARGUMENT', lycosa.request.append, ask{sources = many})
        support.raises('UNKNOWN_ARGUMENT', lycosa.request.append, ask{colour = 'red'})
        assert.are.same({requests = 0, sources = 0, totals = 0}, counts())
    end)

    it('takes the largest answer, question and sources that are allowed', function()
        local sources = {}
        for i = 1, 64 do
            sources[i] = {kind = 'web', ref = ('r'):rep(2048), title = ('t'):rep(1024), quote = ('q'):rep(2048)}
        end
        lycosa.request.append(ask{answer = ('я'):rep(131072), question = ('q'):rep(4096), sources = sources})
        local whole = lycosa.request.get{tenant = 'acme', id = 'r-1'}
        assert.are.equal(262144, #whole.request.answer)
        assert.are.equal(64, #whole.sources)
    end)
end)

describe('request.list', function()
    local all

    before_each(function()
        support.reset()
        all = history.fill()
    end)

    it('pages in both directions as brute force does, by time, customer and status', function()
        local from, till = 1700000010, 1700000080
        local queries = {
            {by = 'time', wanted = function() return true end},
            {by = 'time', from = from, ['until'] = till, wanted = function(args)
                return args.created_at >= from and args.created_at < till
            end},
            {by = 'customer', value = 'c-2', wanted = function(args) return args.customer_id == 'c-2' end},
            {by = 'status', value = 'failed', wanted = function(args) return args.status == 'failed' end},
            {by = 'status', value = 'done', from = from, wanted = function(args)
                return args.status == 'done' and args.created_at >= from
            end},
        }
        for _, order in ipairs({'asc', 'desc'}) do
            for _, limit in ipairs({3, 1000}) do
                for _, query in ipairs(queries) do
                    local ids = history.expected(all, query.wanted, order)
                    assert.is_true(#ids > 3)
                    local forwards, backwards, pages = history.walk{
                        tenant = 'acme', by = query.by, value = query.value, from = query.from,
                        ['until'] = query['until'], order = order, limit = limit,
                    }
                    assert.are.same(ids, forwards)
                    assert.are.same(ids, backwards)
                    assert.are.equal(math.ceil(#ids / limit), pages)
                end
            end
        end
    end)

    it('shows the newest first, twenty a page, without answers but with their size', function()
        lycosa.request.append(ask{id = 'newest', answer = 'Ответ', model = 'small', error = 'slow'})
        local page = lycosa.request.list{tenant = 'acme'}
        assert.are.equal(20, #page.rows)
        local row = page.rows[1]
        assert.are.equal('newest', row[1])
        assert.is_true(row[2] == nil)
        assert.are.same({'analysis', 'done', 'What is new?', 'small', 0, 0, 0, false, 0, clock.now(), 'slow', 10},
            {unpack(row, 3, 14)})
        assert.are.equal(0, page.rows[2][14])
    end)

    it('tells the size of every answer exactly', function()
        local sizes = {0, 1, 31, 32, 255, 256, 10000, 15000, 16000, 16384, 20000, 65535, 65536, 200000, 262144}
        for i, size in ipairs(sizes) do
            -- Times with and without a fraction are packed differently.
            clock.freeze(1800000000 + i * 1.5)
            lycosa.request.append(ask{
                id = 'sized-' .. size, answer = ('x'):rep(size), customer_id = i % 2 == 0 and 'c-1' or nil,
                question = ('?'):rep(i * 200), error = i % 3 == 0 and 'slow' or nil, cost_microusd = 10 ^ (i % 12),
            })
        end
        local rows = lycosa.request.list{tenant = 'acme', from = 1800000000, order = 'asc'}.rows
        for i, size in ipairs(sizes) do
            assert.are.same({'sized-' .. size, size}, {rows[i][1], rows[i][14]})
        end
    end)

    it('answers an empty page for what is not there', function()
        local page = lycosa.request.list{tenant = 'acme', by = 'customer', value = 'nobody'}
        assert.are.equal(0, #page.rows)
        assert.is_true(page.next == nil and page.previous == nil)
        assert.are.equal(0, #lycosa.request.list{tenant = 'nobody'}.rows)
    end)

    it('refuses cursors of other queries and tenants, and broken ones', function()
        local text = lycosa.request.list{tenant = 'acme', limit = 2}.next
        assert.are.equal(2, #lycosa.request.list{tenant = 'acme', limit = 2, cursor = text}.rows)
        local others = {
            {tenant = 'other', cursor = text}, {tenant = 'acme', order = 'asc', cursor = text},
            {tenant = 'acme', by = 'status', value = 'done', cursor = text}, {tenant = 'acme', from = 5, cursor = text},
            {tenant = 'acme', cursor = text:sub(1, -3)}, {tenant = 'acme', cursor = 'нет'}, {tenant = 'acme', cursor = ''},
        }
        for _, args in ipairs(others) do
            support.raises('INVALID_CURSOR', lycosa.request.list, args)
        end
    end)

    it('asks for a value where one is needed and refuses one where none is', function()
        local details = support.raises('INVALID_ARGUMENT', lycosa.request.list, {tenant = 'acme', by = 'customer'})
        assert.are.equal('value', details.argument)
        support.raises('INVALID_ARGUMENT', lycosa.request.list, {tenant = 'acme', by = 'status'})
        support.raises('INVALID_ARGUMENT', lycosa.request.list, {tenant = 'acme', value = 'c-1'})
        support.raises('INVALID_ARGUMENT', lycosa.request.list, {tenant = 'acme', limit = 1001})
    end)
end)
