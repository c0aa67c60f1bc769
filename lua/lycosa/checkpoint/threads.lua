-- Threads: which rows are theirs, when they end, and the sweep of what they leave.
--
--     (none) --put--> kept --put--> kept --delete, its time ends, its last state goes--> (none), its rows swept later
--
-- Rows carry the generation of their thread and not its name. So a thread ends whole and at once, however large it is: its
-- row goes, its generation is noted as gone, and a bounded step deletes the rest. The next thread of the same name has
-- another generation.

local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local daemon = require('lycosa.core.daemon')
local fields = require('lycosa.checkpoint.fields')

local threads = {}

local TENANT, GENERATION = fields.TENANT, fields.GENERATION
local THREAD, REVISION, UPDATED = fields.thread.THREAD, fields.thread.REVISION, fields.thread.UPDATED
local TTL, EXPIRES = fields.thread.TTL, fields.thread.EXPIRES
local T_GENERATION, DUE = fields.thread.GENERATION, fields.gone.DUE

-- When the step will run next, as far as known: what ends earlier wakes it.
local sweep_at = math.huge
local last_generation = 0

local function due(at)
    if at < sweep_at then
        sweep_at = at
        daemon.wake('checkpoint.expire')
    end
end

local function is_live(row, now)
    return row ~= nil and (row[EXPIRES] == nil or row[EXPIRES] > now)
end

---A thread's row, nil when there is none or its time has ended.
---@param tenant string
---@param thread string
---@return box.tuple?
function threads.find(tenant, thread)
    local row = box.space.checkpoint_thread:get{tenant, thread}
    return is_live(row, clock.now()) and row or nil
end

---The thread that a generation belongs to, nil when it is gone.
---@param tenant string
---@param generation integer
---@return string?
function threads.name_of(tenant, generation)
    local row = box.space.checkpoint_thread.index.generation:get{tenant, generation}
    return is_live(row, clock.now()) and row[THREAD] or nil
end

---A generation that no thread has and no sweep will come for.
---@param tenant string
---@param now number unix seconds
---@return integer
function threads.next_generation(tenant, now)
    local taken, gone = box.space.checkpoint_thread.index.generation, box.space.checkpoint_gone
    repeat
        last_generation = math.max(last_generation + 1, math.floor(now * 1e6))
    until taken:get{tenant, last_generation} == nil and gone:get{tenant, last_generation} == nil
    return last_generation
end

---Note a generation as gone from a time on.
---@param tenant string
---@param generation integer
---@param at number unix seconds
function threads.note_gone(tenant, generation, at)
    box.space.checkpoint_gone:replace{tenant, bucket.of(tenant), generation, at}
    due(at)
end

---End a thread with all that is its own.
---@param row box.tuple of the thread
function threads.retire(row)
    box.space.checkpoint_thread:delete{row[TENANT], row[THREAD]}
    threads.note_gone(row[TENANT], row[T_GENERATION], clock.now())
end

---Begin a thread with a generation.
---@param tenant string
---@param thread string
---@param generation integer
---@param ttl number? seconds after the last write, for ever when absent
---@return box.tuple
function threads.begin(tenant, thread, generation, ttl)
    local now = clock.now()
    local expires_at = ttl ~= nil and now + ttl or nil
    if expires_at then
        due(expires_at)
    end
    return box.space.checkpoint_thread:insert{
        tenant, bucket.of(tenant), thread, generation, 1, now, ttl or box.NULL, expires_at or box.NULL,
    }
end

---The thread to be written, begun when there is none; its time begins anew.
---@param tenant string
---@param thread string
---@param ttl number? seconds after this write, for ever when absent
---@return integer generation
function threads.open(tenant, thread, ttl)
    local now = clock.now()
    local row = box.space.checkpoint_thread:get{tenant, thread}
    if is_live(row, now) then
        local expires_at = ttl and now + ttl or box.NULL
        if ttl then
            due(expires_at)
        end
        box.space.checkpoint_thread:update({tenant, thread}, {
            {'+', REVISION, 1}, {'=', UPDATED, now}, {'=', TTL, ttl or box.NULL}, {'=', EXPIRES, expires_at},
        })
        return row[T_GENERATION]
    elseif row ~= nil then
        threads.retire(row)
    end
    return threads.begin(tenant, thread, threads.next_generation(tenant, now), ttl)[T_GENERATION]
end

---Say that states of a thread went; one that has none left ends.
---@param tenant string
---@param generation integer
function threads.changed(tenant, generation)
    local row = box.space.checkpoint_thread.index.generation:get{tenant, generation}
    if row == nil then
        return
    elseif box.space.checkpoint_state.index.id:select({tenant, generation}, {limit = 1})[1] == nil then
        threads.retire(row)
    else
        box.space.checkpoint_thread:update({tenant, row[THREAD]}, {{'+', REVISION, 1}})
    end
end

-- Delete at most `limit` rows of a generation; how many there were.
local function sweep(tenant, generation, limit)
    local deleted = 0
    for _, pair in ipairs(fields.KEYS) do
        local space, parts = box.space[pair[1]], pair[2]
        local rows = deleted < limit and space:select({tenant, generation}, {limit = limit - deleted}) or {}
        for _, row in ipairs(rows) do
            local key = {}
            for i, field in ipairs(parts) do
                key[i] = row[field]
            end
            space:delete(key)
        end
        deleted = deleted + #rows
    end
    return deleted
end

-- The first time of a threads' or generations' index; those that never end stand before every time.
local function first_of(index, field)
    local row = index:select({0}, {iterator = 'GE', limit = 1})[1]
    return row and row[field] or math.huge
end

-- End threads whose time is over, then delete rows of what is gone: at most `limit` of both, in one transaction.
---@param limit integer
---@return boolean more
---@return number? next_due unix seconds
local function expire(limit)
    local ending, gone, now = box.space.checkpoint_thread.index.expiry, box.space.checkpoint_gone, clock.now()
    box.begin()
    local ended = 0
    for _, row in ipairs(ending:select({0}, {iterator = 'GE', limit = limit})) do
        if row[EXPIRES] > now then
            break
        end
        threads.retire(row)
        ended = ended + 1
    end
    local left = limit - ended
    for _, row in ipairs(left > 0 and gone.index.due:select({}, {limit = left}) or {}) do
        if row[DUE] > now or left <= 0 then
            break
        end
        left = left - sweep(row[TENANT], row[GENERATION], left)
        if left > 0 then
            gone:delete{row[TENANT], row[GENERATION]}
            left = left - 1
        end
    end
    box.commit()
    sweep_at = math.min(first_of(ending, EXPIRES), first_of(gone.index.due, DUE))
    return sweep_at <= now, sweep_at < math.huge and sweep_at or nil
end

threads.step = {name = 'checkpoint.expire', run = expire, limit = 100}

return threads
