-- Values of checkpoints. A value that is too large for its row stands in parts of its own under a name that the caller
-- chose; the row then holds that name. Parts are stored first: what refers to them is refused when they are not there, and
-- deletes them when it goes.

local bucket = require('lycosa.core.bucket')
local errors = require('lycosa.core.errors')
local fields = require('lycosa.checkpoint.fields')
local memory = require('lycosa.core.memory')
local threads = require('lycosa.checkpoint.threads')

local values = {}

local VALUE, NUMBER = fields.part.VALUE, fields.part.NUMBER

-- What the values of one call hold together.
values.MOST_BYTES = 4000000
-- What a row weighs besides its value, indexes included.
values.ROW_BYTES = 320

---Raise INVALID_ARGUMENT when values hold more than one call may; the bytes to be asked for otherwise.
---@param argument string its name, for the error
---@param items {value: string}[]
---@return integer bytes
function values.weigh(argument, items)
    local bytes = 0
    for _, item in ipairs(items) do
        bytes = bytes + #item.value
    end
    if bytes > values.MOST_BYTES then
        errors.raise('INVALID_ARGUMENT', {
            argument = argument, problem = ('hold more than %d bytes of values together'):format(values.MOST_BYTES),
        })
    end
    return bytes + #items * values.ROW_BYTES
end

---Raise CHECKPOINT_CHANGED when the parts that a value names are not there: its thread was deleted meanwhile.
---@param tenant string
---@param generation integer
---@param thread string for the error
---@param parts string? nil when the value stands in its row
---@return string parts for the row, box.NULL for none
function values.check_parts(tenant, generation, thread, parts)
    if parts == nil then
        return box.NULL
    elseif box.space.checkpoint_part:get{tenant, generation, parts, 1} == nil then
        errors.raise('CHECKPOINT_CHANGED', {thread = thread})
    end
    return parts
end

---Delete the parts of a value.
---@param tenant string
---@param generation integer
---@param parts string? nil and box.NULL for none
---@return integer rows deleted
function values.drop_parts(tenant, generation, parts)
    if parts == nil then
        return 0
    end
    local space = box.space.checkpoint_part
    local rows = space:select{tenant, generation, parts}
    for _, row in ipairs(rows) do
        space:delete{tenant, generation, parts, row[NUMBER]}
    end
    return #rows
end

---Store parts of a value, in their order, beginning the thread when there is none. Raises CHECKPOINT_CHANGED when those
---before them are not there, INVALID_ARGUMENT, MEMORY_FULL.
---@param args {tenant: string, thread: string, name: string, first: integer, parts: string[], ttl: number?}
function values.put_parts(args)
    local items = {}
    for i, part in ipairs(args.parts) do
        items[i] = {value = part}
    end
    memory.admit('checkpoint_part', 'document', values.weigh('parts', items))
    local tenant, space = args.tenant, box.space.checkpoint_part
    local generation = threads.open(tenant, args.thread, args.ttl)
    if args.first > 1 and space:get{tenant, generation, args.name, args.first - 1} == nil then
        errors.raise('CHECKPOINT_CHANGED', {thread = args.thread})
    end
    for i, part in ipairs(args.parts) do
        space:replace{tenant, bucket.of(tenant), generation, args.name, args.first + i - 1, part}
    end
end

---Parts of a value from one on, as many as four million bytes allow. Empty at the end, and when the value is gone.
---@param args {tenant: string, thread: string, name: string, first: integer}
---@return box.tuple[]
function values.parts(args)
    local row, found, bytes = threads.find(args.tenant, args.thread), {}, 0
    if row == nil then
        return found
    end
    local generation = row[fields.thread.GENERATION]
    local start = {args.tenant, generation, args.name, args.first}
    for _, part in box.space.checkpoint_part:pairs(start, {iterator = 'GE'}) do
        local is_other = part[fields.TENANT] ~= args.tenant or part[fields.GENERATION] ~= generation
            or part[fields.part.NAME] ~= args.name
        if is_other or bytes + #part[VALUE] > values.MOST_BYTES then
            break
        end
        table.insert(found, part)
        bytes = bytes + #part[VALUE]
    end
    return found
end

return values
