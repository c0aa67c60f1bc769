local chunks = require('lycosa.document.chunks')
local daemon = require('lycosa.core.daemon')
local norms = require('lycosa.document.norms')
local packed = require('lycosa.document.packed')
local search = require('lycosa.document.search')
local support = require('tests.lua.support')
local tokens = require('lycosa.document.tokens')

local K1, B = 1.2, 0.75

local function settle()
    daemon.drain('document.index', 100000)
    daemon.drain('document.remove', 100000)
end

local MANY = 2100

-- What is stored, as the spec remembers it: in the order of storing, each with its passages' terms.
local Corpus = {}
Corpus.__index = Corpus

local function new_corpus()
    return setmetatable({documents = {}}, Corpus)
end

function Corpus:forget(id)
    self.index = nil
    for i = #self.documents, 1, -1 do
        if self.documents[i].id == id then
            table.remove(self.documents, i)
        end
    end
end

function Corpus:remember(record)
    self:forget(record.id)
    local passages = {}
    for i, text in ipairs(chunks.split(record.text)) do
        local counts = {}
        passages[i] = {counts = counts}
        passages[i].words = tokens.count(record.title or '', counts) + tokens.count(text, counts)
    end
    table.insert(self.documents, {
        id = record.id, customer_id = record.customer_id, kind = record.kind or 'note', passages = passages,
    })
end

-- Leave numbers of passages out, as deletions do: `next_chunk` is field 5.
local function skip(count)
    box.space.document_corpus:update('acme', {{'+', 5, count}})
end

function Corpus:put(records)
    for from = 1, #records, 100 do
        local some = {}
        for i = from, math.min(from + 99, #records) do
            table.insert(some, records[i])
            self:remember(records[i])
        end
        lycosa.document.put{tenant = 'acme', documents = some}
    end
    settle()
end

function Corpus:delete(ids)
    lycosa.document.delete{tenant = 'acme', ids = ids}
    for _, id in ipairs(ids) do
        self:forget(id)
    end
    settle()
end

local function rounded(value)
    local whole = value * 2 ^ 20
    local floor = math.floor(whole)
    if whole - floor == 0.5 then
        return (floor + floor % 2) / 2 ^ 20
    end
    return math.floor(whole + 0.5) / 2 ^ 20
end

-- Term -> the passages that hold it, in the order of storing; and the figures of all.
function Corpus:invert()
    local index = {terms = {}, passages = 0, words = 0}
    for order, document in ipairs(self.documents) do
        for number, passage in ipairs(document.passages) do
            index.passages, index.words = index.passages + 1, index.words + passage.words
            for term, frequency in pairs(passage.counts) do
                index.terms[term] = index.terms[term] or {}
                table.insert(index.terms[term], {order, number, frequency, passage.words})
            end
        end
    end
    return index
end

-- Score of every passage that holds a term, by the formula of the manual: order -> number -> score.
local function score_all(index, terms)
    local scores = {}
    for _, term in ipairs(terms) do
        local holders = index.terms[term] or {}
        local idf = math.log(1 + (index.passages - #holders + 0.5) / (#holders + 0.5))
        for _, holder in ipairs(holders) do
            local order, number, f, words = unpack(holder)
            local share = idf * (K1 + 1) * f / (f + K1 * (1 - B + B * words / (index.words / index.passages)))
            scores[order] = scores[order] or {}
            scores[order][number] = (scores[order][number] or 0) + rounded(share)
        end
    end
    return scores
end

-- All documents that hold a word of the query, each by its best passage: 'id/passage score', best first.
function Corpus:rank(query, wanted)
    self.index = self.index or self:invert()
    local ranked = {}
    for order, passages in pairs(score_all(self.index, tokens.distinct(query, 32))) do
        local document = self.documents[order]
        if wanted == nil or wanted(document) then
            local best = {score = 0, order = order}
            for number, score in pairs(passages) do
                if score > best.score or (score == best.score and number < best.number) then
                    best.score, best.number = score, number
                end
            end
            table.insert(ranked, best)
        end
    end
    table.sort(ranked, function(left, right)
        if left.score ~= right.score then
            return left.score > right.score
        end
        return left.order < right.order
    end)
    local answer = {}
    for i = 1, #ranked do
        answer[i] = ('%s/%d %.6f'):format(self.documents[ranked[i].order].id, ranked[i].number, ranked[i].score)
    end
    return answer
end

local function first(list, count)
    return {unpack(list, 1, math.min(count, #list))}
end

local function ask(query, changes)
    local answer = lycosa.document.search(support.with({tenant = 'acme', query = query}, changes))
    local hits = {}
    for i, hit in ipairs(answer.hits) do
        hits[i] = ('%s/%d %.6f'):format(hit[1], hit[8], hit[9])
    end
    return hits, answer
end

local WORDS = {}
for i = 1, 400 do
    WORDS[i] = (i % 2 == 0 and 'слово' or 'word') .. i
end

-- Zipf's law, as in real texts: the first words stand in almost every passage, the last in hardly any.
local function some_text(words)
    local text = {}
    for i = 1, words do
        text[i] = WORDS[math.floor((#WORDS) ^ math.random())]
    end
    return table.concat(text, ' ') .. '.'
end

local function some_records(from, upto)
    local answer = {}
    for i = from, upto do
        table.insert(answer, {
            id = 'd' .. i, title = i % 3 == 0 and WORDS[math.random(50)] or nil,
            text = some_text(i % 60 == 0 and 350 or math.random(12)),
            customer_id = i % 5 > 0 and 'c' .. i % 50 or nil, kind = i % 7 == 0 and 'report' or nil,
        })
    end
    return answer
end

local QUERIES = {
    'word1', 'слово2', 'word1 слово2 word3', 'word1 word399', 'слово300', 'word1 word1 слово2', 'слово40 word41 слово90',
    'word1 слово2 word3 слово4 word5 слово6 word7 слово8', 'nowhere', 'word1 lion', 'слово2 word1 lion', 'слово200 word201 слово4', '—',
}

local function compare(corpus)
    for _, query in ipairs(QUERIES) do
        local ranked = corpus:rank(query)
        for _, limit in ipairs({1, 10, 100}) do
            local hits, answer = ask(query, {limit = limit})
            assert.are.same(first(ranked, limit), hits, query)
            assert.is_false(answer.bounded)
        end
    end
end

-- One corpus for all of them: it takes its time to index.
describe('document.search over thousands of passages', function()
    local corpus = new_corpus()

    setup(function()
        support.reset()
        math.randomseed(5)
        for i = 1, 12 do
            corpus:put({{id = 'rare' .. i, text = 'word1 zebra'}})
        end
        -- Over several windows, and farther apart than a block can span.
        for part, gap in ipairs({5000, packed.SPAN, 1}) do
            corpus:put({{id = 'lion' .. part, text = 'lion word1 word1 слово2'}})
            corpus:put(some_records(MANY / 3 * (part - 1) + 1, 2100 / 3 * part))
            corpus:put({{id = 'lioness' .. part, text = 'lion word1 слово4'}})
            skip(gap)
        end
        corpus:put({{id = 'own', text = 'word1 about them', customer_id = 'them'}})
    end)

    it('equals brute force', function()
        assert.is_true(lycosa.document.figures{tenant = 'acme'}.chunks > MANY)
        assert.is_true(box.space.document_posting:len() > 0)
        assert.is_true(box.space.document_norm:len() > 2)
        compare(corpus)
    end)

    it('equals brute force among what a filter lets through', function()
        local query = 'word1 слово2 word33'
        assert.are.same(first(corpus:rank(query, function(document) return document.kind == 'report' end), 10),
            (ask(query, {kind = 'report'})))
        for _, customer in ipairs({'c1', 'c49', 'nobody'}) do
            assert.are.same(
                first(corpus:rank(query, function(document) return document.customer_id == customer end), 10),
                (ask(query, {customer_id = customer})))
            assert.are.same(first(corpus:rank(query, function(document)
                return document.customer_id == customer or document.customer_id == nil
            end), 10), (ask(query, {customer_id = customer, include_general = true})))
        end
    end)

    it('stops at its bound, and says so', function()
        local most = search.MOST_EXAMINED
        search.MOST_EXAMINED = 50
        local ok, hits, answer = pcall(ask, 'word1 слово2')
        search.MOST_EXAMINED = most
        assert.is_true(ok, hits)
        assert.is_true(answer.bounded)
        assert.are.equal(10, #hits)
        assert.is_true(answer.examined >= 50 and answer.examined < MANY)
    end)

    it('examines little when one word is rare', function()
        local hits, answer = ask('word1 zebra')
        assert.are.same(first(corpus:rank('word1 zebra'), 10), hits)
        assert.is_true(answer.examined < 100, 'examined ' .. answer.examined)
    end)

    it('goes only where a customer with few documents has them', function()
        local hits, answer = ask('word1', {customer_id = 'them'})
        assert.are.equal(1, #hits)
        assert.is_true(answer.examined > 0 and answer.examined < MANY / 2, 'examined ' .. answer.examined)
    end)

    it('equals brute force after replacing, deleting and adding', function()
        corpus:put(some_records(1, MANY / 10))
        local dead = {}
        for i = MANY / 10 + 1, 2100 / 2 do
            table.insert(dead, 'd' .. i)
        end
        corpus:delete(dead)
        compare(corpus)
    end)

    it('keeps no window in which nothing lives', function()
        local dead = {}
        for i, document in ipairs(corpus.documents) do
            dead[i] = document.id
        end
        for from = 1, #dead, 1000 do
            corpus:delete({unpack(dead, from, math.min(from + 999, #dead))})
        end
        assert.is_nil(box.space.document_norm:get{'acme', 0})
        assert.are.equal(0, box.space.document_posting:len() + box.space.document_term:len())
        corpus:put(some_records(4000, 4010))
        compare(corpus)
    end)
end)

describe('document.search', function()
    before_each(support.reset)

    it('puts the earlier stored first when scores are equal', function()
        local corpus = new_corpus()
        for i = 1, 30 do
            corpus:put({{id = ('d%02d'):format(31 - i), text = i % 3 == 0 and 'same words' or 'same thing'}})
        end
        compare(corpus)
        local hits = ask('same', {limit = 3})
        assert.are.same({'d30/1', 'd29/1', 'd28/1'}, {hits[1]:sub(1, 5), hits[2]:sub(1, 5), hits[3]:sub(1, 5)})
    end)

    it('finds inflected words of both languages, and the title in any passage', function()
        local corpus = new_corpus()
        corpus:put({
            {id = 'ru', title = 'Отчёт Газпрома', text = ('Общие слова без смысла. '):rep(80) .. 'Прибыль выросла.'},
            {id = 'en', title = 'Report', text = 'Companies were growing.', source = 'https://example.com/r', created_at = 5},
        })
        local _, answer = ask('отчет газпром прибылью')
        local hit = answer.hits[1]
        assert.are.same({'ru', 2}, {hit[1], hit[8]})
        assert.is_truthy(hit[10]:find('Прибыль выросла.', 1, true))
        _, answer = ask('company grows')
        hit = answer.hits[1]
        assert.are.same({'en', 'Report', 'https://example.com/r', 'note', 'en', 5, 1, 'Companies were growing.'},
            {hit[1], hit[2], hit[3], hit[4], hit[6], hit[7], hit[8], hit[10]})
        assert.are.equal(nil, hit[5])
    end)

    it('shows a document once, by its best passage', function()
        local corpus = new_corpus()
        corpus:put({{id = 'long', text = ('target filler words here. '):rep(50) .. ('target target now. '):rep(60)},
            {id = 'short', text = 'target'}})
        local hits = ask('target')
        assert.are.equal(2, #hits)
        assert.are.same(first(corpus:rank('target'), 10), hits)
    end)

    it('is not deceived by hashes that collide', function()
        local kind_hash, customer_hash = norms.kind_hash, norms.customer_hash
        norms.kind_hash = function() return 7 end
        norms.customer_hash = function(id) return id == nil and 0 or 9 end
        local ok, problem = pcall(function()
            local corpus = new_corpus()
            corpus:put({{id = 'a', text = 'word', customer_id = 'c1', kind = 'k1'},
                {id = 'b', text = 'word', customer_id = 'c2', kind = 'k2'}, {id = 'c', text = 'word'}})
            assert.are.equal('b/1', ask('word', {customer_id = 'c2'})[1]:sub(1, 3))
            assert.are.equal(2, #ask('word', {customer_id = 'c2', include_general = true}))
            assert.are.equal('a/1', ask('word', {kind = 'k1'})[1]:sub(1, 3))
            assert.are.equal(1, #ask('word', {kind = 'k1'}))
        end)
        norms.kind_hash, norms.customer_hash = kind_hash, customer_hash
        assert.is_true(ok, problem)
    end)

    it('leaves a kind out', function()
        local corpus = new_corpus()
        corpus:put({{id = 'a', text = 'word', kind = 'web'}, {id = 'b', text = 'word', kind = 'note'},
            {id = 'c', text = 'word', kind = 'web', customer_id = 'c1'}})
        assert.are.equal(3, #ask('word'))
        local hits = ask('word', {without_kind = 'web'})
        assert.are.same({1, 'b/1'}, {#hits, hits[1]:sub(1, 3)})
        assert.are.equal(1, #ask('word', {without_kind = 'web', customer_id = 'c1', include_general = true}))
    end)

    it('names what is wrong with a call', function()
        for argument, value in pairs({query = '', limit = 101, kind = '', customer_id = 7, include_general = 'yes'}) do
            local args = {tenant = 'acme', query = 'x'}
            args[argument] = value
            local details = support.raises('INVALID_ARGUMENT', lycosa.document.search, args)
            assert.are.equal(argument, details.argument)
        end
        support.raises('UNKNOWN_ARGUMENT', lycosa.document.search, {tenant = 'acme', query = 'x', colour = 1})
    end)
end)
