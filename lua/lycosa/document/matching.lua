-- Counting a query's terms in texts that are not stored here: for whoever ranks what it keeps elsewhere by the same words.

local errors = require('lycosa.core.errors')
local tokens = require('lycosa.document.tokens')

local matching = {}

-- Different terms of a query that count, as in a search.
local MOST_TERMS = 32
-- Of all texts of a call: a few milliseconds.
local MOST_BYTES = 262144

---How many words each text has, and how often each of the query's terms is among them. Raises INVALID_ARGUMENT when the
---texts are too large together.
---@param args {query: string, texts: string[]}
---@return {terms: string[], matches: {[1]: integer, [2]: integer[]}[]} in the order of the texts; counts in that of terms
function matching.match(args)
    local bytes = 0
    for _, text in ipairs(args.texts) do
        bytes = bytes + #text
    end
    if bytes > MOST_BYTES then
        errors.raise('INVALID_ARGUMENT', {
            argument = 'texts', problem = ('hold more than %d bytes together'):format(MOST_BYTES),
        })
    end
    local terms, matches = tokens.distinct(args.query, MOST_TERMS), {}
    for i, text in ipairs(args.texts) do
        local counts, found = {}, setmetatable({}, {__serialize = 'seq'})
        local words = tokens.count(text, counts)
        for j, term in ipairs(terms) do
            found[j] = counts[term] or 0
        end
        matches[i] = {words, found}
    end
    return {terms = terms, matches = matches}
end

return matching
