-- BM25 over passages, exact within a bound on its work.
--
--   score = sum over the query's different terms of  idf * f * (K1 + 1) / (f + K1 * (1 - B + B * words / mean words))
--   idf   = ln(1 + (passages - holding + 0.5) / (holding + 0.5))
--
-- Each term's share is rounded to a multiple of 2^-20, which makes sums exact whatever their order: bounds can be
-- compared with scores, and equal passages have equal scores. Passages of deleted documents count in the figures until
-- the background step has taken them out, and are never found.
--
-- The passages are gone through in stretches that lie within one block of every term. In a stretch the terms that
-- together cannot lift a passage above the worst hit so far are looked up only for the passages that the other terms
-- make promising (MaxScore with the bounds of blocks); a stretch whose bounds are too low is passed over.

local ffi = require('ffi')
local norms = require('lycosa.document.norms')
local packed = require('lycosa.document.packed')
local ranking = require('lycosa.document.ranking')
local reader = require('lycosa.document.reader')

local search = {}

local K1, B = 1.2, 0.75
local WINDOW = packed.WINDOW
-- Longer passages than the chunks module makes do not exist; counts of words stay below.
local MOST_WORDS = 2047
-- Adding and subtracting it rounds a number below 2^31 to a multiple of 2^-20.
local ROUNDER = 1.5 * 2 ^ 32

---Postings that one search may examine. A search that reaches it answers with the best it has seen, and says so.
search.MOST_EXAMINED = 400000

local sums = ffi.new('double[?]', WINDOW)
-- K1 * (1 - B + B * words / mean words), by words.
local saturation = ffi.new('double[?]', MOST_WORDS + 1)

local function share(weight, frequency, words)
    return (weight * frequency / (frequency + saturation[words]) + ROUNDER) - ROUNDER
end

local function prepare_saturation(mean)
    for words = 0, MOST_WORDS do
        saturation[words] = K1 * (1 - B + B * words / mean)
    end
end

-- Add one term's shares over a run of postings. `shift` leads from a posting to its place in the window.
local function add_run(postings, from, stop, shift, entries, weight)
    for i = from, stop - 1 do
        local at, frequency = postings[i].at + shift, postings[i].frequency
        local value = weight * frequency / (frequency + saturation[entries[at].length])
        sums[at] = sums[at] + ((value + ROUNDER) - ROUNDER)
    end
end

local function next_above(from, stop, need)
    for i = from, stop - 1 do
        if sums[i] > need then
            return i
        end
    end
    return stop
end

local function passes(self, entry)
    if entry.length == 0 then
        return false
    end
    local kind, customer = self.kind_hash, self.customer_hash
    return (kind == nil or entry.kind == kind)
        and (customer == nil or entry.customer == customer or (self.general and entry.customer == 0))
end

-- Hashes may collide: what is let in is checked by the document itself.
local function is_wanted(self, first)
    return self.wanted == nil or self.wanted(first)
end

-- The share of a term that was not added by runs; 0 when the passage does not hold it.
local function look_up(self, term, chunk, words)
    self.examined = self.examined + 1
    local at = chunk - term.base
    if at < 0 or chunk > term.last then
        return 0
    end
    local found = packed.find(term.postings, term.position, term.count, at)
    term.position = found
    local posting = term.postings[found]
    if posting.at ~= at then
        return 0
    end
    return share(term.weight, posting.frequency, words)
end

-- The passage's whole score, or nil as soon as it cannot pass the threshold.
local function complete(self, score, chunk, words, optional)
    local threshold, order, below = self.ranking.threshold, self.order, self.below
    for i = optional, 1, -1 do
        if score + below[i] <= threshold then
            return nil
        end
        score = score + look_up(self, order[i], chunk, words)
    end
    return score > threshold and score or nil
end

-- The terms that occur in the stretch, in rising order of what they can add; below[i] is what the first i can add
-- together. Returns their number, and how many of them are optional.
local function arrange(self, stop)
    local order, below, count = self.order, self.below, 0
    for _, term in ipairs(self.terms) do
        if term.base + term.postings[term.position].at < stop then
            if term.bound_row ~= term.row then
                term.bound_row, term.bound = term.row, share(term.weight, term.most, term.shortest)
            end
            count = count + 1
            local at = count
            while at > 1 and order[at - 1].bound > term.bound do
                order[at] = order[at - 1]
                at = at - 1
            end
            order[at] = term
        end
    end
    local total, optional = 0, 0
    for i = 1, count do
        total = total + order[i].bound
        below[i] = total
        if total <= self.ranking.threshold then
            optional = i
        end
    end
    return count, optional
end

local function collect(self, start, from, stop, optional)
    local entries, best, rest = self.entries, self.ranking, self.below[optional] or 0
    local at = next_above(from, stop, best.threshold - rest)
    while at < stop do
        local entry = entries[at]
        if passes(self, entry) then
            local chunk = start + at
            local score = complete(self, sums[at], chunk, entry.length, optional)
            if score and is_wanted(self, chunk - entry.position) then
                ranking.offer(best, chunk, chunk - entry.position, score)
            end
        end
        at = next_above(at + 1, stop, best.threshold - rest)
    end
end

-- Score the passages first..stop-1, which lie within one window and within one block of every term.
local function stretch(self, first, stop)
    local count, optional = arrange(self, stop)
    if optional == count then
        return
    end
    local window = (first - first % WINDOW) / WINDOW
    if self.window ~= window then
        self.window = window
        self.norm_row, self.entries = norms.window(self.tenant, window)
    end
    if self.norm_row == nil then
        return
    end
    local start = window * WINDOW
    ffi.fill(sums + (first - start), (stop - first) * 8)
    for i = optional + 1, count do
        local term = self.order[i]
        local upto = term.count
        if term.last >= stop then
            upto = packed.find(term.postings, term.position, upto, stop - term.base)
        end
        add_run(term.postings, term.position, upto, term.base - start, self.entries, term.weight)
        self.examined = self.examined + (upto - term.position)
        term.position = upto
    end
    collect(self, start, first - start, stop - start, optional)
end

-- Stand every term on its first posting from `at` on and drop those that have none. Returns the nearest passage, and
-- where the first of the blocks ends.
local function stand(self, at)
    local terms, nearest, stop = self.terms, math.huge, math.huge
    for i = #terms, 1, -1 do
        local term = terms[i]
        if reader.seek(term, at) then
            nearest = math.min(nearest, term.base + term.postings[term.position].at)
            stop = math.min(stop, term.last + 1)
        else
            table.remove(terms, i)
        end
    end
    return nearest, stop
end

-- The first passage from `at` on that lies in one of the windows looked at; nil beyond the last.
local function in_windows(self, at)
    local windows = self.windows
    if windows == nil then
        return at
    end
    while windows[self.window_index] ~= nil and (windows[self.window_index] + 1) * WINDOW <= at do
        self.window_index = self.window_index + 1
    end
    local window = windows[self.window_index]
    return window and math.max(at, window * WINDOW)
end

local function go_through(self)
    local at = 0
    while true do
        local nearest, stop = stand(self, at)
        if #self.terms == 0 then
            return
        end
        at = in_windows(self, nearest)
        if at == nil then
            return
        elseif at == nearest then
            if self.examined >= search.MOST_EXAMINED then
                self.bounded = true
                return
            end
            stop = math.min(stop, at - at % WINDOW + WINDOW)
            stretch(self, at, stop)
            at = stop
        end
    end
end

local function open_terms(tenant, words, passages)
    local terms = {}
    for _, word in ipairs(words) do
        local term = reader.open(tenant, word)
        if term ~= nil then
            local holding = term.frequency
            term.weight = math.log(1 + (passages - holding + 0.5) / (holding + 0.5)) * (K1 + 1)
            table.insert(terms, term)
        end
    end
    return terms
end

---@class lycosa.SearchFilter
---@field kind string?
---@field customer_id string?
---@field general boolean? also documents of no customer
---@field wanted (fun(first: integer): boolean)? the last word on a document, by its first passage
---@field windows integer[]? rising numbers of the only windows that can hold what is wanted

---Rank the documents of a tenant. Never yields.
---@param tenant string
---@param terms string[] different terms
---@param passages integer indexed, the dead ones that still stand in the index included
---@param words integer of these passages
---@param limit integer 1..ranking.MOST
---@param filter lycosa.SearchFilter
---@return {score: number, chunk: integer, first: integer}[] best first
---@return integer examined postings
---@return boolean bounded whether search.MOST_EXAMINED ended the search
function search.rank(tenant, terms, passages, words, limit, filter)
    local self = {
        tenant = tenant, ranking = ranking.start(limit), order = {}, below = {}, examined = 0, bounded = false,
        kind_hash = filter.kind and norms.kind_hash(filter.kind),
        customer_hash = filter.customer_id and norms.customer_hash(filter.customer_id),
        general = filter.general, wanted = filter.wanted, windows = filter.windows, window_index = 1,
    }
    self.terms = open_terms(tenant, terms, passages)
    if #self.terms > 0 then
        prepare_saturation(words / passages)
        go_through(self)
    end
    local hits = {}
    for i = 1, self.ranking.count do
        local score, chunk, first = ranking.entry(i)
        hits[i] = {score = score, chunk = chunk, first = first}
    end
    return hits, self.examined, self.bounded
end

return search
