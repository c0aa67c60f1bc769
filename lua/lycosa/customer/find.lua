-- Reading customers: one by key, pages by every index.

local cursor = require('lycosa.core.cursor')
local errors = require('lycosa.core.errors')
local fields = require('lycosa.customer.fields')

local find = {}

local TENANT, ID, NAME_KEY = fields.TENANT, fields.ID, fields.NAME_KEY
local EMAIL, SEGMENT, TAGS, SINCE = fields.EMAIL, fields.SEGMENT, fields.TAGS, fields.SINCE

---One customer by id. Raises CUSTOMER_NOT_FOUND.
---@param args {tenant: string, id: string}
---@return box.tuple
function find.get(args)
    local stored = box.space.customer:get{args.tenant, args.id}
    if stored == nil then
        errors.raise('CUSTOMER_NOT_FOUND', {id = args.id})
    end
    return stored
end

-- Each `inside` says whether a row belongs to the range of its scan; the anchor holds the tenant and the fixed value.

local function inside_tenant(tuple, scan)
    return tuple[TENANT] == scan.anchor[1]
end

local function inside_email(tuple, scan)
    return tuple[EMAIL] == scan.anchor[2] and tuple[TENANT] == scan.anchor[1]
end

local function inside_segment(tuple, scan)
    local since = tuple[SINCE]
    return tuple[SEGMENT] == scan.anchor[2] and tuple[TENANT] == scan.anchor[1]
        and (scan.from == nil or since >= scan.from) and (scan.before == nil or since < scan.before)
end

local function inside_tag(tuple, scan)
    if tuple[TENANT] ~= scan.anchor[1] then
        return false
    end
    local tags, wanted = tuple[TAGS], scan.anchor[2]
    for i = 1, #tags do
        if tags[i] == wanted then
            return true
        end
    end
    return false
end

-- Each maker answers the scan of one `by`: see lycosa.Scan in core/cursor.lua.

local function by_all(args, space)
    local anchor = {args.tenant}
    local scan = {
        index = space.index.id, anchor = anchor, first = anchor, last = anchor, last_inclusive = true,
        fields = {ID}, kinds = {'string'}, inside = inside_tenant,
    }
    return args.prefix and cursor.narrow(scan, args.prefix) or scan
end

local function by_email(args, space)
    local anchor = {args.tenant, fields.fold_email(args.value)}
    return {
        index = space.index.email, anchor = anchor, first = anchor, last = anchor, last_inclusive = true,
        fields = {ID}, kinds = {'string'}, inside = inside_email,
    }
end

local function by_segment(args, space)
    local tenant, segment = args.tenant, args.value
    local anchor = {tenant, segment}
    return {
        index = space.index.segment, anchor = anchor,
        first = args.from and {tenant, segment, args.from} or anchor,
        last = args['until'] and {tenant, segment, args['until']} or anchor,
        last_inclusive = args['until'] == nil,
        from = args.from, before = args['until'],
        fields = {SINCE, ID}, kinds = {'number', 'string'}, inside = inside_segment,
    }
end

-- A customer stands in the index once for each of its tags, so the rows of other tags that follow the range may carry
-- this tag as well; but then their ids are not beyond those before them. `rising` keeps only rows of the range itself.
local function by_tag(args, space)
    local anchor = {args.tenant, args.value}
    return {
        index = space.index.tag, anchor = anchor, first = anchor, last = anchor, last_inclusive = true,
        fields = {ID}, kinds = {'string'}, inside = inside_tag, rising = true,
    }
end

local function by_name(args, space)
    return cursor.narrow({
        index = space.index.name, anchor = {args.tenant},
        fields = {NAME_KEY, ID}, kinds = {'string', 'string'}, inside = inside_tenant,
    }, fields.fold_prefix(args.value))
end

local SCANS = {all = by_all, email = by_email, segment = by_segment, tag = by_tag, name = by_name}

local function check_arguments(args)
    if args.by == 'all' then
        if args.value ~= nil then
            errors.raise('INVALID_ARGUMENT', {argument = 'value', problem = 'has no meaning with by = all'})
        end
    elseif args.value == nil then
        errors.raise('INVALID_ARGUMENT', {argument = 'value', problem = 'is missing'})
    elseif args.prefix ~= nil then
        errors.raise('INVALID_ARGUMENT', {argument = 'prefix', problem = 'has no meaning without by = all'})
    end
    if args.by == 'segment' then
        if args.from ~= nil and args['until'] ~= nil and args.from > args['until'] then
            errors.raise('INVALID_ARGUMENT', {argument = 'from', problem = 'is after until'})
        end
        return
    end
    for _, bound in ipairs{'from', 'until'} do
        if args[bound] ~= nil then
            errors.raise('INVALID_ARGUMENT', {argument = bound, problem = 'has no meaning without by = segment'})
        end
    end
end

local function page(rows, next_page, previous_page)
    return {rows = rows, next = next_page or box.NULL, previous = previous_page or box.NULL}
end

-- By a unique key: one row or none, hence no cursor leads here.
local function find_one(args, space)
    if args.cursor ~= nil then
        errors.raise('INVALID_CURSOR', {problem = 'has no meaning with by = ' .. args.by})
    end
    local index = args.by == 'id' and space.index.id or space.index.external_id
    return page({index:get{args.tenant, args.value}})
end

---A page of customers.
---@param args table the arguments of customer.find as declared in lycosa.api.customer
---@param packs boolean? whether the rows are packed at once: then they are borrowed
---@return {rows: box.tuple[], next: string?, previous: string?}
function find.find(args, packs)
    check_arguments(args)
    local space, by = box.space.customer, args.by
    if by == 'id' or by == 'external_id' then
        return find_one(args, space)
    end
    local scan = SCANS[by](args, space)
    scan.descending, scan.borrows = args.order == 'desc', packs
    scan.fingerprint = cursor.fingerprint{
        'customer.find', args.tenant, by, args.value or args.prefix or '', args.from or '', args['until'] or '', args.order,
    }
    return page(cursor.page(scan, args.cursor, args.limit))
end

return find
