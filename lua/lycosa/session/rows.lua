-- The rows of sessions: how one begins, is found, and ends.
--
-- A session that ends loses its row at once and its messages a bounded part at a time; what begins meanwhile under the
-- same id is the next generation, to which the old messages do not belong.

local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local errors = require('lycosa.core.errors')
local fields = require('lycosa.session.fields')

local rows = {}

local S, G = fields.S, fields.G

---Seconds without an append after which a session ends, unless it is told otherwise: thirty days.
rows.DEFAULT_IDLE = 2592000
-- The year 9999.
local END_OF_TIME = 253402300799

---When a session ends that was last active at a moment.
---@param active number unix seconds
---@param idle number seconds, 0 for ever
---@return number unix seconds
function rows.ends(active, idle)
    return idle == 0 and END_OF_TIME or active + idle
end

---Take a session's row away; its messages go by and by.
---@param row box.tuple
function rows.retire(row)
    local tenant, id = row[S.TENANT], row[S.ID]
    box.space.session:delete{tenant, id}
    if row[S.MESSAGES] > 0 then
        box.space.session_gone:insert{tenant, bucket.of(tenant), id, row[S.GENERATION]}
        daemon.wake('session.expire')
    end
end

---The session of an id, or nil. One that has ended is none.
---@param tenant string
---@param id string
---@return box.tuple?
function rows.find(tenant, id)
    local row = box.space.session:get{tenant, id}
    if row ~= nil and row[S.ENDS] > clock.now() then
        return row
    end
    return nil
end

---The session of an id. Raises SESSION_NOT_FOUND.
---@param tenant string
---@param id string
---@return box.tuple
function rows.get(tenant, id)
    local row = rows.find(tenant, id)
    if row == nil then
        errors.raise('SESSION_NOT_FOUND', {id = id})
    end
    return row
end

---Begin a session where there is none.
---@param tenant string
---@param id string
---@param given {current_agent: string?, metadata: table?, idle: number?}
---@return box.tuple
function rows.begin(tenant, id, given)
    local ended = box.space.session:get{tenant, id}
    if ended ~= nil then
        rows.retire(ended)
    end
    local newest = box.space.session_gone.index.session:select({tenant, id}, {iterator = 'REQ', limit = 1})[1]
    local now, idle = clock.now(), given.idle or rows.DEFAULT_IDLE
    local row = box.space.session:insert{
        tenant, bucket.of(tenant), id, newest and newest[G.GENERATION] + 1 or 0,
        given.current_agent == nil and box.NULL or given.current_agent,
        given.metadata or setmetatable({}, {__serialize = 'map'}),
        now, now, idle, rows.ends(now, idle), 0, 0, 0,
    }
    daemon.wake('session.expire')
    return row
end

return rows
