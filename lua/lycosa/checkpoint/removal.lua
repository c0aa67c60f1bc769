-- Deleting states: by run, by pruning, and whole threads.

local fields = require('lycosa.checkpoint.fields')
local threads = require('lycosa.checkpoint.threads')
local values = require('lycosa.checkpoint.values')

local removal = {}

local TENANT, GENERATION = fields.TENANT, fields.GENERATION
local NAMESPACE, ID, PARENT = fields.state.NAMESPACE, fields.state.ID, fields.state.PARENT
local BLOBS, DELTAS = fields.state.BLOBS, fields.state.DELTAS

---Delete the blobs of these names to which no state refers.
---@param tenant string
---@param generation integer
---@param namespace string
---@param names string[]
---@return integer rows deleted
function removal.drop_blobs(tenant, generation, namespace, names)
    local referring, blobs, deleted = box.space.checkpoint_state.index.blob, box.space.checkpoint_blob, 0
    for _, name in ipairs(names) do
        if referring:select({tenant, generation, namespace, name}, {limit = 1})[1] == nil then
            local blob = blobs:delete{tenant, generation, namespace, name}
            if blob ~= nil then
                deleted = deleted + 1 + values.drop_parts(tenant, generation, blob[fields.blob.PARTS])
            end
        end
    end
    return deleted
end

-- Delete a state with its pending writes and the values that only it has; how many rows there were.
local function remove(row)
    local tenant, generation, namespace, id = row[TENANT], row[GENERATION], row[NAMESPACE], row[ID]
    local writes, deleted = box.space.checkpoint_write, 1
    box.space.checkpoint_state:delete{tenant, generation, namespace, id}
    for _, write in ipairs(writes:select{tenant, generation, namespace, id}) do
        writes:delete{tenant, generation, namespace, id, write[fields.write.TASK], write[fields.write.POSITION]}
        deleted = deleted + 1 + values.drop_parts(tenant, generation, write[fields.write.PARTS])
    end
    deleted = deleted + values.drop_parts(tenant, generation, row[fields.state.PARTS])
        + values.drop_parts(tenant, generation, row[fields.state.METADATA_PARTS])
    return deleted + removal.drop_blobs(tenant, generation, namespace, row[BLOBS])
end

---Delete a thread with all that is its own, at once however large it is.
---@param args {tenant: string, thread: string}
---@return {deleted: boolean} whether there was one
function removal.delete_thread(args)
    local row = threads.find(args.tenant, args.thread)
    if row ~= nil then
        threads.retire(row)
    end
    return {deleted = row ~= nil}
end

---Delete the states that runs stored, in whatever threads. Ends after about `limit` rows, each state whole.
---@param args {tenant: string, runs: string[], limit: integer}
---@return {deleted: integer, more: boolean} states, and whether there may be more
function removal.delete_for_runs(args)
    local by_run, deleted, rows_deleted, changed = box.space.checkpoint_state.index.run, 0, 0, {}
    for _, run in ipairs(args.runs) do
        for _, row in ipairs(by_run:select({args.tenant, run}, {limit = args.limit})) do
            if rows_deleted >= args.limit then
                break
            end
            rows_deleted = rows_deleted + remove(row)
            deleted = deleted + 1
            changed[tonumber(row[GENERATION])] = true
        end
    end
    for generation in pairs(changed) do
        threads.changed(args.tenant, generation)
    end
    return {deleted = deleted, more = rows_deleted >= args.limit}
end

-- The states to keep in a namespace: the latest, and before it those from whose writes channels without a value of their
-- own are made again, back to where each of these channels has one.
local function kept(latest)
    local states, blobs = box.space.checkpoint_state, box.space.checkpoint_blob
    local tenant, generation, namespace = latest[TENANT], latest[GENERATION], latest[NAMESPACE]
    local keep, missing, row = {[latest[ID]] = true}, {}, latest
    for _, channel in ipairs(latest[DELTAS]) do
        missing[channel] = true
    end
    while next(missing) ~= nil and row[PARENT] ~= nil do
        row = states:get{tenant, generation, namespace, row[PARENT]}
        if row == nil or keep[row[ID]] then
            break
        end
        keep[row[ID]] = true
        for _, name in ipairs(row[BLOBS]) do
            local channel = name:match('^[^ ]* (.*)$')
            if missing[channel] and blobs:get{tenant, generation, namespace, name} ~= nil then
                missing[channel] = nil
            end
        end
    end
    return keep
end

-- The latest state of the last namespace before one, of the last of all when that is nil.
local function latest_before(tenant, generation, namespace)
    local key = namespace and {tenant, generation, namespace} or {tenant, generation}
    local row = box.space.checkpoint_state:select(key, {iterator = namespace and 'LT' or 'LE', limit = 1})[1]
    if row ~= nil and row[TENANT] == tenant and row[GENERATION] == generation then
        return row
    end
    return nil
end

-- The states of a namespace that are not to be kept, at most `limit`.
local function superfluous(latest, limit)
    local keep, found = kept(latest), {}
    for _, row in box.space.checkpoint_state:pairs{latest[TENANT], latest[GENERATION], latest[NAMESPACE]} do
        if #found == limit then
            break
        elseif not keep[row[ID]] then
            table.insert(found, row)
        end
    end
    return found
end

---Keep only the latest state of every namespace of a thread, and what its channels are made again from. Ends after about
---`limit` rows; while there is more, `before` is the namespace to go on before.
---@param args {tenant: string, thread: string, before: string?, limit: integer}
---@return {deleted: integer, more: boolean, before: string?}
function removal.prune(args)
    local thread, deleted, worked, before = threads.find(args.tenant, args.thread), 0, 0, args.before
    local generation = thread and thread[fields.thread.GENERATION]
    local latest = thread and latest_before(args.tenant, generation, before)
    while latest ~= nil and worked < args.limit do
        local rows = superfluous(latest, args.limit)
        local done = 0
        while done < #rows and worked < args.limit do
            done = done + 1
            worked = worked + remove(rows[done])
        end
        worked, deleted = worked + 1, deleted + done
        if done == #rows and done < args.limit then
            before = latest[NAMESPACE]
            latest = latest_before(args.tenant, generation, before)
        end
    end
    if deleted > 0 then
        threads.changed(args.tenant, generation)
    end
    return {deleted = deleted, more = latest ~= nil, before = before or box.NULL}
end

return removal
