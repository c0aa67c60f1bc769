-- Storing states with the values that are new in them, and the pending writes of tasks.

local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local errors = require('lycosa.core.errors')
local fields = require('lycosa.checkpoint.fields')
local memory = require('lycosa.core.memory')
local removal = require('lycosa.checkpoint.removal')
local threads = require('lycosa.checkpoint.threads')
local values = require('lycosa.checkpoint.values')

local writing = {}

local BLOBS, PARTS = fields.state.BLOBS, fields.state.PARTS
local B_PARTS, W_PARTS = fields.blob.PARTS, fields.write.PARTS

-- The name of the value of a channel: versions hold no space.
local function blob_name(pair)
    return pair.version .. ' ' .. pair.channel
end

-- Parts of a row that is being replaced go, unless the new one has the same.
local function drop_replaced(before, field, args, generation, parts)
    if before ~= nil and before[field] ~= parts then
        values.drop_parts(args.tenant, generation, before[field])
    end
end

local function put_blobs(args, generation)
    local space, tenant = box.space.checkpoint_blob, args.tenant
    for _, blob in ipairs(args.blobs) do
        local key = {tenant, generation, args.namespace, blob_name(blob)}
        local parts = values.check_parts(tenant, generation, args.thread, blob.parts)
        drop_replaced(space:get(key), B_PARTS, args, generation, parts)
        space:replace{tenant, bucket.of(tenant), generation, args.namespace, key[4], blob.type, blob.value, parts}
    end
end

-- Names of the values of a state's channels. One that should be there already may have gone with the state before.
local function names_of(args, generation)
    local names = setmetatable({}, {__serialize = 'seq'})
    for i, pair in ipairs(args.channels) do
        names[i] = blob_name(pair)
        local key = pair.held and {args.tenant, generation, args.namespace, names[i]}
        if key and box.space.checkpoint_blob:get(key) == nil then
            errors.raise('CHECKPOINT_CHANGED', {thread = args.thread})
        end
    end
    return names
end

---Store a state with the values that are new in it, in one. The same state again replaces it. Raises INVALID_ARGUMENT,
---CHECKPOINT_CHANGED when parts or values that should be there are not any more, MEMORY_FULL.
---@param args table see lycosa.api.checkpoint
function writing.put(args)
    local tenant, namespace, space = args.tenant, args.namespace, box.space.checkpoint_state
    local bytes = values.weigh('blobs', args.blobs) + #args.state.value + #args.metadata.value
    memory.admit('checkpoint_state', 'document', bytes + #args.channels * 96 + values.ROW_BYTES)
    local generation = threads.open(tenant, args.thread, args.ttl)
    put_blobs(args, generation)
    local names = names_of(args, generation)
    local parts = values.check_parts(tenant, generation, args.thread, args.state.parts)
    local metadata_parts = values.check_parts(tenant, generation, args.thread, args.metadata.parts)
    local before = space:get{tenant, generation, namespace, args.id}
    drop_replaced(before, PARTS, args, generation, parts)
    drop_replaced(before, fields.state.METADATA_PARTS, args, generation, metadata_parts)
    space:replace{
        tenant, bucket.of(tenant), generation, namespace, args.id, args.parent or box.NULL,
        args.state.type, args.state.value, parts, args.metadata.type, args.metadata.value, metadata_parts,
        args.run or box.NULL, args.facts or box.NULL, names, args.deltas, clock.now(),
    }
    if before ~= nil then
        removal.drop_blobs(tenant, generation, namespace, before[BLOBS])
    end
end

---Store what a task wrote on top of a state, which may come later. What is there at a position of 0 and more stays; at
---negative ones stand the marks of which the last counts. Raises INVALID_ARGUMENT, CHECKPOINT_CHANGED, MEMORY_FULL.
---@param args table see lycosa.api.checkpoint
function writing.put_writes(args)
    local tenant, space = args.tenant, box.space.checkpoint_write
    memory.admit('checkpoint_write', 'document', values.weigh('writes', args.writes))
    local generation = threads.open(tenant, args.thread, args.ttl)
    for _, write in ipairs(args.writes) do
        local before = space:get{tenant, generation, args.namespace, args.id, args.task, write.position}
        if before == nil or write.position < 0 then
            local parts = values.check_parts(tenant, generation, args.thread, write.parts)
            drop_replaced(before, W_PARTS, args, generation, parts)
            space:replace{
                tenant, bucket.of(tenant), generation, args.namespace, args.id, args.task, write.position, args.path,
                write.channel, write.type, write.value, parts,
            }
        elseif before[W_PARTS] ~= write.parts then
            values.drop_parts(tenant, generation, write.parts)
        end
    end
end

return writing
