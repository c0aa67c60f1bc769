-- BM25 over passages, exact within a bound on its work.
--
--   score = sum over the query's different terms of  idf * f * (K1 + 1) / (f + K1 * (1 - B + B * words / mean words))
--   idf   = ln(1 + (passages - holding + 0.5) / (holding + 0.5))
--
-- Each term's share is rounded to a multiple of 2^-20, which makes sums exact whatever their order: bounds can be
-- compared with scores, and equal passages have equal scores. Passages of deleted documents count in the figures until
-- the background step has taken them out, and are never found.
--
-- The passages are gone through in stretches that lie within one block of every term, from one posting of a term that
-- can still lift a passage above the worst hit so far to the next (MaxScore). Terms that together cannot do that are
-- looked up only for the passages that the other terms make promising, or added up like these where that is less work;
-- a stretch whose blocks promise too little is passed over.

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
local ROUNDING = 2 ^ -20

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

-- Looking a passage up costs about as much as adding up so many postings.
local LOOK_UP_COST = 8

-- Add one term's shares over a run of postings. `target` and `entries` belong to the passage that is the block's base.
local function add_run(postings, count, target, entries, weight)
    for i = 0, count - 1 do
        local at, frequency = postings[i].at, postings[i].frequency
        local value = weight * frequency / (frequency + saturation[entries[at].length])
        target[at] = target[at] + ((value + ROUNDER) - ROUNDER)
    end
end

-- The next passage of the window that lives, scores above `need` and belongs to what is wanted. A kind of 0 and a
-- customer below 0 are any; `other` is a second customer that will do.
local function next_wanted(from, stop, need, entries, kind, customer, other)
    for i = from, stop - 1 do
        if sums[i] > need then
            local entry = entries[i]
            if entry.length > 0 and (kind == 0 or entry.kind == kind)
                and (customer < 0 or entry.customer == customer or entry.customer == other) then
                return i
            end
        end
    end
    return stop
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

-- Add a term of the stretch: `upto` is where its postings in the stretch end.
local function put_in_order(order, count, term, stop)
    if term.bound_row ~= term.row then
        term.bound_row, term.bound = term.row, share(term.weight, term.most, term.shortest)
    end
    term.upto = term.count
    if term.last >= stop then
        term.upto = packed.find(term.postings, term.position, term.count, stop - term.base)
    end
    local at = count
    while at > 1 and order[at - 1].bound > term.bound do
        order[at] = order[at - 1]
        at = at - 1
    end
    order[at] = term
end

-- Of the terms that may be looked up, order[1..optional], those whose postings are few are better added up: they move
-- behind the others. Returns how many stay.
local function keep_worth_looking_up(order, count, optional)
    local postings = 0
    for i = optional + 1, count do
        postings = postings + (order[i].upto - order[i].position)
    end
    local kept = 0
    for i = 1, optional do
        local term = order[i]
        if term.upto - term.position > postings * LOOK_UP_COST then
            kept = kept + 1
            order[i], order[kept] = order[kept], term
        end
    end
    return kept
end

-- The terms that occur in the stretch: first those to look up, then those to add up. below[i] is what the first i can
-- add together. Returns the number of the first ones, and of all; nil if together they do not pass the threshold.
local function arrange(self, stop)
    local order, below, terms, count = self.order, self.below, self.terms, 0
    for i = 1, #terms do
        local term = terms[i]
        if term.base + term.postings[term.position].at < stop then
            count = count + 1
            put_in_order(order, count, term, stop)
        end
    end
    local total, optional, threshold = 0, 0, self.ranking.threshold
    for i = 1, count do
        total = total + order[i].bound
        if total <= threshold then
            optional = i
        end
    end
    if optional == count then
        return nil
    end
    optional = keep_worth_looking_up(order, count, optional)
    total = 0
    for i = 1, optional do
        total = total + order[i].bound
        below[i] = total
    end
    return optional, count
end

local function collect(self, start, from, stop, optional)
    local entries, best, rest = self.entries, self.ranking, self.below[optional] or 0
    local kind, customer, other = self.kind, self.customer, self.other
    local at = next_wanted(from, stop, best.threshold - rest, entries, kind, customer, other)
    while at < stop do
        local entry, chunk = entries[at], start + at
        local score = complete(self, sums[at], chunk, entry.length, optional)
        if score and is_wanted(self, chunk - entry.position) then
            ranking.offer(best, chunk, chunk - entry.position, score)
        end
        at = next_wanted(at + 1, stop, best.threshold - rest, entries, kind, customer, other)
    end
end

-- Score the passages first..stop-1, which lie within one window and within one block of every term.
local function stretch(self, first, stop)
    local optional, count = arrange(self, stop)
    if optional == nil then
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
        local shift, run = term.base - start, term.upto - term.position
        add_run(term.postings + term.position, run, sums + shift, self.entries + shift, term.weight)
        self.examined = self.examined + run
        term.position = term.upto
    end
    collect(self, start, first - start, stop - start, optional)
end

-- How many of the terms, which stand in rising order of weight, cannot pass the threshold together. No posting's share
-- passes its term's weight by more than the rounding.
local function count_idle(self)
    local terms, total, threshold = self.terms, 0, self.ranking.threshold
    for i = 1, #terms do
        total = total + terms[i].weight + ROUNDING
        if total > threshold then
            return i - 1
        end
    end
    return #terms
end

-- Stand the terms from `first` to the last on their first postings from `at` on and drop those that have none. Returns
-- the nearest passage, and where the first of the blocks ends.
local function stand(self, at, first, last)
    local terms, nearest, stop = self.terms, math.huge, math.huge
    for i = last, first, -1 do
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
        local idle = count_idle(self)
        local nearest, stop = stand(self, at, idle + 1, #self.terms)
        at = nearest < math.huge and in_windows(self, nearest)
        if not at then
            return
        elseif at == nearest then
            if self.examined >= search.MOST_EXAMINED then
                self.bounded = true
                return
            end
            local _, idle_stop = stand(self, at, 1, idle)
            stop = math.min(stop, idle_stop, at - at % WINDOW + WINDOW)
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
    table.sort(terms, function(left, right)
        return left.weight < right.weight
    end)
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
        kind = filter.kind and norms.kind_hash(filter.kind) or 0,
        customer = filter.customer_id and norms.customer_hash(filter.customer_id) or -1,
        wanted = filter.wanted, windows = filter.windows, window_index = 1,
    }
    self.other = filter.general and norms.customer_hash(nil) or self.customer
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
