-- A request without its answer, which may be 256 KiB: what a page shows.

local msgpack = require('msgpack')
local fields = require('lycosa.request.fields')

local summary = {}

local msgpack_encode = msgpack.encode

local TENANT, BUCKET, ID, CUSTOMER, KIND = fields.TENANT, fields.BUCKET, fields.ID, fields.CUSTOMER, fields.KIND
local STATUS, QUESTION, ANSWER, MODEL, COST = fields.STATUS, fields.QUESTION, fields.ANSWER, fields.MODEL, fields.COST
local TOKENS_IN, TOKENS_OUT, CACHED = fields.TOKENS_IN, fields.TOKENS_OUT, fields.CACHED
local DURATION, CREATED, ERROR = fields.DURATION, fields.CREATED, fields.ERROR

-- All fields but the answer stay below this.
local LARGE_ROW = 16384

---Bytes of a row's answer. Those of a large row are told from the row's size: a thousand answers of 256 KiB would fill
---the Lua heap if they were read only to be measured.
---@param row box.tuple of `request`
---@return integer
function summary.answer_bytes(row)
    local size = row:bsize()
    if size < LARGE_ROW then
        local answer = row[ANSWER]
        return answer == nil and 0 or #answer
    end
    local rest = msgpack_encode{
        row[TENANT], row[BUCKET], row[ID], row[CUSTOMER], row[KIND], row[STATUS], row[QUESTION], row[MODEL], row[COST],
        row[TOKENS_IN], row[TOKENS_OUT], row[CACHED], row[DURATION], row[CREATED], row[ERROR],
    }
    -- The array of 16 fields has a header of 3 bytes, that of the 15 others one of 1. A string of up to 65,535 bytes has
    -- a header of 3, a longer one of 5; shorter than 256 it cannot be in a row of this size.
    local packed = size - 3 - (#rest - 1)
    return packed <= 65535 + 3 and packed - 3 or packed - 5
end

---@param row box.tuple of `request` or of `request_cold_summary`
---@return any[] in the order of RequestSummary
function summary.of(row)
    local answer = row[ANSWER]
    return {
        row[ID], row[CUSTOMER], row[KIND], row[STATUS], row[QUESTION], row[MODEL], row[COST], row[TOKENS_IN],
        row[TOKENS_OUT], row[CACHED], row[DURATION], row[CREATED], row[ERROR],
        type(answer) == 'number' and answer or summary.answer_bytes(row),
    }
end

return summary
