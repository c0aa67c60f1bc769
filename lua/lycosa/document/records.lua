-- What a document must be, and the check of many at once.

local types = require('lycosa.core.types')

local records = {}

-- Bytes of text that one call may carry: what bounds the time it holds the server.
records.MOST_TEXT = 512 * 1024
-- Longest text of one document in bytes.
records.LONGEST_TEXT = 256 * 1024

records.DOCUMENT = types.record('DocumentInput', {
    {'id', types.name, doc = 'of the caller\'s choice; a document with the same id is replaced'},
    {'text', types.text{min = 1, max = records.LONGEST_TEXT}},
    {'title', types.text{max = 512}, default = '', doc = 'searched with every passage'},
    {'source', types.text{max = 2048}, optional = true, doc = 'where it comes from: a URL or a file name'},
    {'language', types.enum{'en', 'ru'}, optional = true, doc = 'told by the letters of the text when absent'},
    {'kind', types.name, default = 'note'},
    {'customer_id', types.name, optional = true, doc = 'the customer it is about; absent: about none in particular'},
    {'created_at', types.time, optional = true, doc = 'unix seconds; the moment of storing when absent'},
})

local function id_of(record)
    local id = type(record) == 'table' and record.id
    return types.name.check(id) and id or box.NULL
end

---Check documents one by one.
---@param documents any[]
---@return table<integer, table> checked by position; the invalid ones are missing
---@return table[] outcomes by position: {id, outcome, field, problem}; those of checked ones are not yet filled in
---@return integer bytes of text of the checked ones
function records.check(documents)
    local checked, outcomes, seen, bytes = {}, {}, {}, 0
    for i = 1, #documents do
        local record, problem, field = records.DOCUMENT.check(documents[i])
        if record ~= nil and seen[record.id] then
            record, problem, field = nil, 'stands in this call before, at row ' .. seen[record.id], '.id'
        end
        outcomes[i] = {id = id_of(documents[i]), field = box.NULL, problem = box.NULL}
        if record == nil then
            outcomes[i].outcome, outcomes[i].problem = 'invalid', problem
            outcomes[i].field = field and field:sub(2) or box.NULL
        else
            checked[i], seen[record.id] = record, i
            bytes = bytes + #record.text
        end
    end
    return checked, outcomes, bytes
end

return records
