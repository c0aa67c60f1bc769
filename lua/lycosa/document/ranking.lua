-- The best documents of a search so far: at most `limit` of them, each with its best passage, in falling order of score
-- and, where scores are equal, in the order in which their passages were stored.
--
-- Passages are offered in the order of their numbers, and those of a document stand side by side.

local ffi = require('ffi')

local ranking = {}

ranking.MOST = 100

local scores = ffi.new('double[?]', ranking.MOST + 1)
local chunks = ffi.new('double[?]', ranking.MOST + 1)
local firsts = ffi.new('double[?]', ranking.MOST + 1)

---Begin a ranking. There is one at a time: a search never yields.
---@param limit integer 1..ranking.MOST
---@return table {limit, count, threshold}: no passage that scores `threshold` or less can enter any more
function ranking.start(limit)
    return {limit = limit, count = 0, threshold = 0}
end

-- Take out the entry of a document; false when a better passage of it is already there.
local function make_way(self, first, score)
    for i = 0, self.count - 1 do
        if firsts[i] == first then
            if scores[i] >= score then
                return false
            end
            for j = i, self.count - 2 do
                scores[j], chunks[j], firsts[j] = scores[j + 1], chunks[j + 1], firsts[j + 1]
            end
            self.count = self.count - 1
            return true
        end
    end
    return true
end

---Offer a passage whose score is above the threshold.
---@param self table
---@param chunk integer number of the passage
---@param first integer number of its document's first passage
---@param score number
function ranking.offer(self, chunk, first, score)
    if not make_way(self, first, score) then
        return
    end
    local at = self.count
    while at > 0 and scores[at - 1] < score do
        scores[at], chunks[at], firsts[at] = scores[at - 1], chunks[at - 1], firsts[at - 1]
        at = at - 1
    end
    scores[at], chunks[at], firsts[at] = score, chunk, first
    self.count = math.min(self.count + 1, self.limit)
    self.threshold = self.count == self.limit and scores[self.limit - 1] or 0
end

---One entry of the ranking.
---@param i integer 1 is the best
---@return number score
---@return integer chunk
---@return integer first
function ranking.entry(i)
    return scores[i - 1], chunks[i - 1], firsts[i - 1]
end

return ranking
