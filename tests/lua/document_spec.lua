local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local document = require('lycosa.document')
local metrics = require('lycosa.core.metrics')
local records = require('lycosa.document.records')
local support = require('tests.lua.support')

local function put(...)
    return lycosa.document.put{tenant = 'acme', documents = {...}}
end

local function settle()
    daemon.drain('document.index')
    daemon.drain('document.remove')
end

local function ids(rows)
    local answer = {}
    for i, row in ipairs(rows) do
        answer[i] = row.id
    end
    return table.concat(answer, ' ')
end

local function found(query, tenant)
    local hits = lycosa.document.search{tenant = tenant or 'acme', query = query, limit = 100}.hits
    local answer = {}
    for i, hit in ipairs(hits) do
        answer[i] = hit[1]
    end
    table.sort(answer)
    return table.concat(answer, ' ')
end

-- Rows of the index and of the work in hand, by space: all gone when nothing is stored.
local function leftovers()
    local answer = {}
    for _, name in ipairs({'document', 'document_chunk', 'document_waiting', 'document_removal', 'document_term',
        'document_posting'}) do
        answer[name] = box.space[name]:len()
    end
    return answer
end

local NOTHING = {
    document = 0, document_chunk = 0, document_waiting = 0, document_removal = 0, document_term = 0,
    document_posting = 0,
}

describe('document.put', function()
    before_each(support.reset)

    it('stores, replaces and leaves alone what is the same', function()
        local note = {id = 'n-1', title = 'Заметка', text = 'Клиент доволен.', customer_id = 'c-1', source = 'crm.txt'}
        assert.are.equal('inserted', put(note)[1].outcome)
        clock.advance(10)
        assert.are.equal('unchanged', put(note)[1].outcome)
        local row = lycosa.document.get{tenant = 'acme', id = 'n-1'}.document
        assert.are.equal(1700000000, row.stored_at)
        assert.are.equal(1700000000, row.created_at)
        assert.are.same({'ru', 'note', 'c-1', 'crm.txt', 'Заметка'},
            {row.language, row.kind, row.customer_id, row.source, row.title})
        note.customer_id = 'c-2'
        assert.are.equal('replaced', put(note)[1].outcome)
        row = lycosa.document.get{tenant = 'acme', id = 'n-1'}.document
        assert.are.same({'c-2', 1700000010}, {row.customer_id, row.stored_at})
    end)

    it('writes nothing for what is unchanged', function()
        local note = {id = 'n-1', text = 'Same.'}
        put(note)
        settle()
        local signature = box.info.signature
        put(note)
        assert.are.equal(signature, box.info.signature)
    end)

    it('gives each row its outcome and stores the valid ones', function()
        local outcomes = put(
            {id = 'a', text = 'Good.'}, {id = 'b', text = ''}, {id = 'c\n', text = 'x'}, {id = 'a', text = 'Twice.'}, 7,
            {id = 'd', text = 'bad \255'}, {id = 'e', text = 'x', language = 'fr'}, {id = 'f', text = 'x', color = 1},
            {id = 'g', text = 'x', created_at = -1}, {id = 'h', text = 'x', created_at = 0 / 0}, {text = 'x'},
            {id = 'i', text = ('x'):rep(records.LONGEST_TEXT + 1)}, {id = 'j', text = 'Хорошо.', language = 'en'})
        local seen = {}
        for i, outcome in ipairs(outcomes) do
            local id, field = outcome.id ~= nil and outcome.id or '-', outcome.field ~= nil and outcome.field or '-'
            seen[i] = ('%s %s %s'):format(id, outcome.outcome, field)
        end
        assert.are.same({
            'a inserted -', 'b invalid text', '- invalid id', 'a invalid id', '- invalid -', 'd invalid text',
            'e invalid language', 'f invalid color', 'g invalid created_at', 'h invalid created_at', '- invalid id',
            'i invalid text', 'j inserted -',
        }, seen)
        assert.are.equal('is empty', outcomes[2].problem)
        assert.are.equal('is not valid UTF-8', outcomes[6].problem)
        assert.are.equal('a j', ids(lycosa.document.list{tenant = 'acme'}.rows))
    end)

    it('refuses too many rows, too much text and a bad tenant as a whole', function()
        local many = {}
        for i = 1, 101 do
            many[i] = {id = 'd' .. i, text = 'x'}
        end
        local details = support.raises('INVALID_ARGUMENT', lycosa.document.put, {tenant = 'acme', documents = many})
        assert.are.equal('documents', details.argument)
        local text = ('word '):rep(50000)
        details = support.raises('INVALID_ARGUMENT', put, {id = 'a', text = text}, {id = 'b', text = text},
            {id = 'c', text = text})
        assert.are.equal('documents', details.argument)
        support.raises('INVALID_ARGUMENT', lycosa.document.put, {tenant = 'a\1', documents = {{id = 'a', text = 'x'}}})
        assert.are.same(NOTHING, leftovers())
    end)

    it('keeps a long text whole', function()
        local text = ('Выручка выросла на 5 %. Revenue grew.\n\n'):rep(600)
        put({id = 'long', text = text})
        local stored = lycosa.document.get{tenant = 'acme', id = 'long'}
        assert.are.equal(text, stored.text)
        assert.is_true(stored.document.chunks > 15)
        settle()
        assert.are.equal(stored.document.chunks, lycosa.document.figures{tenant = 'acme'}.chunks)
        assert.are.equal(text, lycosa.document.get{tenant = 'acme', id = 'long'}.text)
    end)

    it('stops at 80 % of the memory', function()
        local memory = require('lycosa.core.memory')
        local admit = memory.admit
        local asked
        memory.admit = function(space, class, bytes)
            asked = {space, class, bytes >= 1000}
            return admit(space, class, 2 ^ 40)
        end
        local ok, problem = pcall(support.raises, 'MEMORY_FULL', put, {id = 'a', text = ('x '):rep(500)})
        memory.admit = admit
        assert.is_true(ok, problem)
        assert.are.same({'document', 'document', true}, asked)
        assert.are.same(NOTHING, leftovers())
    end)

    it('is undone with the transaction around it', function()
        box.begin()
        put({id = 'a', text = 'Gone.'})
        box.rollback()
        assert.are.same(NOTHING, leftovers())
        assert.are.equal(0, lycosa.document.figures{tenant = 'acme'}.documents)
    end)
end)

describe('document.delete', function()
    before_each(support.reset)

    it('counts what it deleted and leaves nothing behind', function()
        put({id = 'a', title = 'Alpha', text = ('One two three. '):rep(300)}, {id = 'b', text = 'Two.'})
        settle()
        put({id = 'c', text = 'Never indexed.'})
        assert.are.same({deleted = 3}, lycosa.document.delete{tenant = 'acme', ids = {'a', 'b', 'c', 'b', 'zzz'}})
        assert.are.equal('', found('two never alpha'))
        settle()
        assert.are.same(NOTHING, leftovers())
        local figures = lycosa.document.figures{tenant = 'acme'}
        figures.revision = nil
        assert.are.same(
            {documents = 0, chunks = 0, terms = 0, postings = 0, posting_bytes = 0, waiting = 0, waiting_seconds = 0},
            figures)
        support.raises('DOCUMENT_NOT_FOUND', lycosa.document.get, {tenant = 'acme', id = 'a'})
    end)

    it('knows nothing of a tenant without documents', function()
        assert.are.same({deleted = 0}, lycosa.document.delete{tenant = 'nobody', ids = {'a'}})
        assert.are.equal(0, box.space.document_corpus:len())
    end)

    it('makes invisible at once, before the index is cleaned', function()
        put({id = 'a', text = 'Secret.'}, {id = 'b', text = 'Secret too.'})
        settle()
        box.begin()
        lycosa.document.delete{tenant = 'acme', ids = {'a'}}
        put({id = 'b', text = 'Open.'})
        assert.are.equal('', found('secret'))
        box.commit()
        settle()
        assert.are.equal('b', found('open'))
        assert.are.equal('', found('secret'))
    end)

    it('in the middle of indexing takes all of it out', function()
        put({id = 'long', text = ('Many different words. '):rep(2500)})
        daemon.drain('document.index', 1)
        local indexed = lycosa.document.figures{tenant = 'acme'}.chunks
        assert.is_true(indexed > 0)
        lycosa.document.delete{tenant = 'acme', ids = {'long'}}
        put({id = 'next', text = 'After the gap.'})
        settle()
        assert.are.equal('next', found('gap many'))
        assert.are.equal(1, lycosa.document.figures{tenant = 'acme'}.chunks)
        lycosa.document.delete{tenant = 'acme', ids = {'next'}}
        settle()
        assert.are.same(NOTHING, leftovers())
    end)
end)

describe('document.list', function()
    before_each(support.reset)

    local function all_pages(args)
        local pages = {}
        repeat
            local page = lycosa.document.list(args)
            table.insert(pages, ids(page.rows))
            args.cursor = page.next
        until page.next == nil
        return table.concat(pages, ' | ')
    end

    before_each(function()
        for i = 1, 5 do
            put({id = 'd' .. i, text = 'x', customer_id = i % 2 == 1 and 'odd' or nil})
        end
        lycosa.document.put{tenant = 'other', documents = {{id = 'd3', text = 'x', customer_id = 'odd'}}}
    end)

    it('goes through all of a tenant or of a customer', function()
        assert.are.equal('d1 d2 | d3 d4 | d5', all_pages{tenant = 'acme', limit = 2})
        assert.are.equal('d1 d3 | d5', all_pages{tenant = 'acme', customer_id = 'odd', limit = 2})
        assert.are.equal('', all_pages{tenant = 'acme', customer_id = 'none'})
    end)

    it('goes through those whose ids begin with a prefix', function()
        put({id = 'c9', text = 'x'})
        put({id = 'e', text = 'x', customer_id = 'odd'})
        assert.are.equal('d1 d2 | d3 d4 | d5', all_pages{tenant = 'acme', prefix = 'd', limit = 2})
        assert.are.equal('d1 d3 | d5', all_pages{tenant = 'acme', customer_id = 'odd', prefix = 'd', limit = 2})
        assert.are.equal('', all_pages{tenant = 'acme', prefix = 'd10'})
    end)

    it('refuses cursors of other queries', function()
        local cursor = lycosa.document.list{tenant = 'acme', limit = 2}.next
        for _, args in ipairs({{tenant = 'other', cursor = cursor},
            {tenant = 'acme', customer_id = 'odd', cursor = cursor}, {tenant = 'acme', cursor = cursor .. 'x'}}) do
            support.raises('INVALID_CURSOR', lycosa.document.list, args)
        end
    end)
end)

describe('the lag of the index', function()
    before_each(support.reset)

    it('stands in the figures and in every answer', function()
        -- One transaction: the background sees nothing of it before the end.
        box.begin()
        put({id = 'a', text = 'First.'})
        clock.advance(5)
        put({id = 'b', text = 'Second.'})
        local figures = lycosa.document.figures{tenant = 'acme'}
        local answer = lycosa.document.search{tenant = 'acme', query = 'first'}
        local elsewhere = lycosa.document.search{tenant = 'other', query = 'first'}
        local lag = metrics.collect().gauges['document.lag']
        box.commit()
        assert.are.same({2, 5}, {figures.waiting, figures.waiting_seconds})
        assert.are.same({2, 5, {}}, {answer.waiting, answer.waiting_seconds, answer.hits})
        assert.are.same({0, 0}, {elsewhere.waiting, elsewhere.waiting_seconds})
        assert.are.equal(5, lag)
        settle()
        answer = lycosa.document.search{tenant = 'acme', query = 'first'}
        assert.are.same({0, 0, 1}, {answer.waiting, answer.waiting_seconds, #answer.hits})
        assert.are.equal(0, metrics.collect().gauges['document.lag'])
    end)

    it('is worked off in slices of bounded work, the longest waiting tenant first', function()
        box.begin()
        for i = 1, 40 do
            put({id = 'd' .. i, text = ('слово %d '):format(i)})
        end
        clock.advance(1)
        lycosa.document.put{tenant = 'late', documents = {{id = 'a', text = 'Later.'}}}
        local step = document.steps[1]
        assert.are.equal('document.index', step.name)
        box.commit()
        assert.is_true(step.limit <= 32)
        settle()
        assert.are.equal(40, lycosa.document.figures{tenant = 'acme'}.chunks)
        assert.are.equal('a', found('later', 'late'))
        assert.are.equal('', found('later'))
    end)

    it('falls by background work alone', function()
        put({id = 'a', text = 'Indexed by the loop.'})
        local fiber = require('fiber')
        for _ = 1, 1000 do
            if found('loop') == 'a' then
                break
            end
            fiber.sleep(0.001)
        end
        assert.are.equal('a', found('loop'))
    end)
end)
