-- Copying a thread, in steps that keep nobody waiting, seen by nobody until it is whole.
--
-- The rows are copied into a generation that no thread has. Only the last step, which makes sure that the source is what
-- it was at the first, begins the thread. Until then the generation is noted as gone, so that what a process that dies
-- leaves behind is swept.

local clock = require('lycosa.core.clock')
local errors = require('lycosa.core.errors')
local fields = require('lycosa.checkpoint.fields')
local memory = require('lycosa.core.memory')
local threads = require('lycosa.checkpoint.threads')

local copying = {}

local TENANT, GENERATION = fields.TENANT, fields.GENERATION
local T_GENERATION, REVISION, TTL = fields.thread.GENERATION, fields.thread.REVISION, fields.thread.TTL

-- Of one step.
local ROWS, BYTES = 200, 4000000
-- A copy that takes longer is given up; its rows are swept a while after that.
local SWEPT_AFTER = 600

local function in_transaction(work, ...)
    box.begin()
    local ok, answer = pcall(work, ...)
    if not ok then
        box.rollback()
        error(answer, 0)
    end
    box.commit()
    return answer
end

-- Copy the rows of one space that follow a key, as many as a step may; the last key, nil at the end.
local function step(pair, tenant, from, to, key)
    local space, parts = box.space[pair[1]], pair[2]
    local rows, bytes = {}, 0
    for _, row in space:pairs(key or {tenant, from}, {iterator = key and 'GT' or 'GE'}) do
        if row[TENANT] ~= tenant or row[GENERATION] ~= from or #rows == ROWS or bytes >= BYTES then
            break
        end
        table.insert(rows, row)
        bytes = bytes + row:bsize()
    end
    memory.admit(pair[1], 'document', bytes)
    for _, row in ipairs(rows) do
        space:insert(row:update({{'=', GENERATION, to}}))
    end
    local last = rows[#rows]
    if last == nil then
        return nil
    end
    local following = {}
    for i, field in ipairs(parts) do
        following[i] = last[field]
    end
    return following
end

local function copy_rows(tenant, from, to, till)
    for _, pair in ipairs(fields.KEYS) do
        local key
        repeat
            if clock.monotonic() > till then
                errors.raise('CHECKPOINT_BUSY', {retry_after = 1})
            end
            key = in_transaction(step, pair, tenant, from, to, key)
        until key == nil
    end
end

local function publish(args, source, generation)
    local now = threads.find(args.tenant, args.source)
    if now == nil or now[T_GENERATION] ~= source[T_GENERATION] or now[REVISION] ~= source[REVISION] then
        errors.raise('CHECKPOINT_CHANGED', {thread = args.source})
    elseif threads.find(args.tenant, args.target) ~= nil then
        errors.raise('CHECKPOINT_EXISTS', {thread = args.target})
    end
    local ended = box.space.checkpoint_thread:get{args.tenant, args.target}
    if ended ~= nil then
        threads.retire(ended)
    end
    box.space.checkpoint_gone:delete{args.tenant, generation}
    threads.begin(args.tenant, args.target, generation, source[TTL])
end

---Copy a thread with all of its states, values and pending writes under a new name. Raises CHECKPOINT_EXISTS when there is
---one of that name, CHECKPOINT_CHANGED when the source was written meanwhile, CHECKPOINT_BUSY when it takes longer than
---`wait`, MEMORY_FULL; then nothing was copied.
---@param args {tenant: string, source: string, target: string, wait: number}
---@return {copied: boolean} false when there is no such source
function copying.run(args)
    local tenant, till = args.tenant, clock.monotonic() + args.wait
    local source = threads.find(tenant, args.source)
    if source == nil then
        return {copied = false}
    elseif threads.find(tenant, args.target) ~= nil then
        errors.raise('CHECKPOINT_EXISTS', {thread = args.target})
    end
    local generation = threads.next_generation(tenant, clock.now())
    in_transaction(threads.note_gone, tenant, generation, clock.now() + args.wait + SWEPT_AFTER)
    local ok, problem = pcall(copy_rows, tenant, source[T_GENERATION], generation, till)
    if ok then
        ok, problem = pcall(in_transaction, publish, args, source, generation)
    end
    if not ok then
        in_transaction(threads.note_gone, tenant, generation, clock.now())
        error(problem, 0)
    end
    return {copied = true}
end

return copying
