-- Writing customers: batches of patches, an outcome for every row, one transaction for all that are valid.
--
-- Rows are taken in order, and each is judged against what is stored with the rows before it. A row is written only
-- after all of its checks have passed, so an invalid one leaves no trace.

local new_table = require('table.new')
local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local memory = require('lycosa.core.memory')
local T = require('lycosa.core.types')
local fields = require('lycosa.customer.fields')
local segments = require('lycosa.customer.segments')

local ID, VERSION, EXTERNAL_ID = fields.ID, fields.VERSION, fields.EXTERNAL_ID
local NAME, NAME_KEY, EMAIL, SEGMENT = fields.NAME, fields.NAME_KEY, fields.EMAIL, fields.SEGMENT
local TAGS, COUNTRY, INDUSTRY, PROFILE = fields.TAGS, fields.COUNTRY, fields.INDUSTRY, fields.PROFILE
local REVENUE, ORDERS, SINCE = fields.REVENUE, fields.ORDERS, fields.SINCE
local CREATED_AT, UPDATED_AT = fields.CREATED_AT, fields.UPDATED_AT

local RULES = fields.INPUT_RULES
local NULL = box.NULL
-- Assumed of a row and its six index entries, for admission only.
local ROW_BYTES = 768
local EMPTY_LIST, EMPTY_MAP = {}, setmetatable({}, {__serialize = 'map'})

local function invalid(id, field, problem)
    return {'invalid', id or NULL, NULL, field, problem}
end

-- Fields whose stored value is compared with == ; tags and profile are compared inside.
local PLAIN = {EXTERNAL_ID, NAME, EMAIL, SEGMENT, COUNTRY, INDUSTRY, REVENUE, ORDERS, SINCE}

-- Names a field that nobody declared, in a form that can be sent back.
local function unknown_field(row)
    local known = {}
    for i = 1, #RULES do
        known[RULES[i].name] = true
    end
    for name in pairs(row) do
        if not known[name] then
            return type(name) == 'string' and T.name.check(name) or type(name) == 'number' and tostring(name) or '?'
        end
    end
end

---Check a row into a patch: stored field number -> value, nil where the row says nothing.
---@return string? field that is wrong
---@return string? problem
local function read_row(row, patch)
    local given = 0
    for i = 1, #RULES do
        local rule = RULES[i]
        local value = row[rule.name]
        if value ~= nil then
            local checked, problem, path = rule.check(value)
            if checked == nil then
                return path and rule.name .. path or rule.name, problem
            end
            patch[rule.number] = checked
            given = given + 1
        elseif type(value) == 'cdata' then
            if rule.kept then
                return rule.name, 'is null and cannot be cleared'
            end
            patch[rule.number] = rule.cleared
            given = given + 1
        else
            patch[rule.number] = nil
        end
    end
    local present = 0
    for _ in pairs(row) do
        present = present + 1
    end
    if present > given then
        return unknown_field(row), 'is not known'
    end
end

-- Keys, rows and update operations are encoded by the engine before it returns, so one table of each serves a whole
-- batch: what is not allocated is not collected, and the collector's share of a batch is a third.
local function key_of(batch, part)
    local reused = batch.key
    reused[2] = part
    return reused
end

-- Finds the stored row that a patch means and the id it has or will have.
local function resolve(batch, patch)
    local id, external_id = patch[ID], patch[EXTERNAL_ID]
    if id ~= nil then
        return batch.space:get(key_of(batch, id)), id
    end
    local stored = batch.by_external_id:get(key_of(batch, external_id))
    if stored ~= nil then
        return stored, stored[ID]
    end
    return nil, external_id
end

-- A key may stand in one readable row of a batch.
local function claim(batch, patch, id, number)
    local external_id = patch[EXTERNAL_ID]
    local earlier = batch.ids[id]
    if earlier ~= nil then
        return patch[ID] ~= nil and 'id' or 'external_id', ('stands in row %d already'):format(earlier)
    end
    batch.ids[id] = number
    if external_id == nil then
        return
    end
    earlier = batch.external_ids[external_id]
    if earlier ~= nil then
        return 'external_id', ('stands in row %d already'):format(earlier)
    end
    batch.external_ids[external_id] = number
end

-- Whether the external id is free for the customer `id`.
local function check_external_id(batch, patch, stored, id)
    local external_id = patch[EXTERNAL_ID]
    if external_id == nil or (stored ~= nil and stored[EXTERNAL_ID] == external_id) then
        return
    end
    if patch[ID] == nil then
        -- Not found by it, hence a new customer whose id it becomes.
        if batch.space:get(key_of(batch, id)) ~= nil then
            return 'external_id', 'is the id of another customer'
        end
        return
    end
    local other = batch.by_external_id:get(key_of(batch, external_id))
    if other ~= nil and other[ID] ~= id then
        return 'external_id', ('belongs to customer %s'):format(other[ID])
    end
end

local function insert(batch, patch, id)
    local row, now, name = batch.row, batch.now, patch[NAME]
    row[ID], row[VERSION], row[EXTERNAL_ID] = id, 1, patch[EXTERNAL_ID] or NULL
    row[NAME], row[NAME_KEY] = name, fields.name_key(name)
    row[EMAIL], row[SEGMENT], row[TAGS] = patch[EMAIL] or NULL, patch[SEGMENT] or '', patch[TAGS] or EMPTY_LIST
    row[COUNTRY], row[INDUSTRY] = patch[COUNTRY] or NULL, patch[INDUSTRY] or NULL
    row[REVENUE], row[ORDERS], row[SINCE] = patch[REVENUE] or 0, patch[ORDERS] or 0, patch[SINCE] or now
    row[CREATED_AT], row[UPDATED_AT], row[PROFILE] = now, now, patch[PROFILE] or EMPTY_MAP
    batch.space:insert(row)
    segments.add(batch.tally, row[SEGMENT], 1, row[REVENUE], row[ORDERS])
    return {'inserted', id, 1, NULL, NULL}
end

-- Lists and maps of scalars.
local function same_items(left, right)
    for key, value in pairs(left) do
        if right[key] ~= value then
            return false
        end
    end
    for key in pairs(right) do
        if left[key] == nil then
            return false
        end
    end
    return true
end

-- What the figures of segments are made of.
local COUNTED = {[SEGMENT] = true, [REVENUE] = true, [ORDERS] = true}

-- One assignment for each field; the value is set before each use.
local ASSIGN = {}
for number = ID, PROFILE do
    ASSIGN[number] = {'=', number, NULL}
end

local function assign(operations, number, value)
    local operation = ASSIGN[number]
    operation[3] = value
    operations[#operations + 1] = operation
end

-- Update operations for what differs from the stored row, nil when nothing does; and whether figures change.
local function differences(patch, stored)
    local operations
    local counted = false
    for i = 1, #PLAIN do
        local number = PLAIN[i]
        local value = patch[number]
        if (value ~= nil or type(value) == 'cdata') and value ~= stored[number] then
            operations = operations or {}
            assign(operations, number, value)
            counted = counted or COUNTED[number] or false
            if number == NAME then
                assign(operations, NAME_KEY, fields.name_key(value))
            end
        end
    end
    for number = TAGS, PROFILE, PROFILE - TAGS do
        local value = patch[number]
        if value ~= nil and not same_items(value, stored[number]) then
            operations = operations or {}
            assign(operations, number, value)
        end
    end
    return operations, counted
end

local function update(batch, patch, stored, id)
    local operations, counted = differences(patch, stored)
    local version = stored[VERSION]
    if operations == nil then
        return {'unchanged', id, version, NULL, NULL}
    end
    assign(operations, VERSION, version + 1)
    assign(operations, UPDATED_AT, batch.now)
    local written = batch.space:update(key_of(batch, id), operations)
    if counted then
        segments.remove(batch.tally, stored)
        segments.add(batch.tally, written[SEGMENT], 1, written[REVENUE], written[ORDERS])
    end
    return {'updated', id, version + 1, NULL, NULL}
end

local function settle(batch, patch, row, number)
    if type(row) ~= 'table' then
        return invalid(nil, 'row', 'is not a map')
    end
    local field, problem = read_row(row, patch)
    if field ~= nil then
        return invalid(T.name.check(row.id), field, problem)
    elseif patch[ID] == nil and patch[EXTERNAL_ID] == nil then
        return invalid(nil, 'id', 'is missing, and external_id too')
    end
    local stored, id = resolve(batch, patch)
    field, problem = claim(batch, patch, id, number)
    if field == nil then
        field, problem = check_external_id(batch, patch, stored, id)
    end
    if field ~= nil then
        return invalid(id, field, problem)
    end
    local present, expected = stored and stored[VERSION] or 0, patch[VERSION]
    if expected ~= nil and expected ~= present then
        return {'conflict', id, present, 'version', ('is %d, not %d'):format(present, expected)}
    elseif stored ~= nil then
        return update(batch, patch, stored, id)
    elseif patch[NAME] == nil then
        return invalid(id, 'name', 'is missing')
    end
    return insert(batch, patch, id)
end

---Insert and change customers. Runs inside the caller's transaction; a row that is invalid or in conflict leaves the
---others alone, an error of the server undoes them all.
---@param args {tenant: string, rows: table[]} each row as fields.INPUT describes it
---@return table[] outcomes in the order of the rows: {outcome, id, version, field, problem}
local function upsert(args)
    local space, tenant = box.space.customer, args.tenant
    memory.admit('customer', 'customer', #args.rows * ROW_BYTES)
    local row = new_table(PROFILE, 0)
    row[fields.TENANT], row[fields.BUCKET] = tenant, bucket.of(tenant)
    local batch = {
        tenant = tenant, now = clock.now(), space = space, by_external_id = space.index.external_id,
        ids = {}, external_ids = {}, tally = segments.tally(), key = {tenant, ''}, row = row,
    }
    local rows, outcomes, patch = args.rows, new_table(#args.rows, 0), new_table(PROFILE, 0)
    for i = 1, #rows do
        outcomes[i] = settle(batch, patch, rows[i], i)
    end
    segments.write(batch.tenant, batch.tally, batch.now)
    return outcomes
end

return upsert
