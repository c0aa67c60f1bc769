-- The contract: declarations become procedures.
--
-- A declaration says name, access, mode, arguments, answer and errors of one procedure. From it this module makes the
-- function that binds the arguments, opens the transaction, counts and times the call, and the description from which
-- clients and reference pages are generated.

local digest = require('digest')
local log = require('log')
local msgpack = require('msgpack')
local clock = require('lycosa.core.clock')
local errors = require('lycosa.core.errors')
local memory = require('lycosa.core.memory')
local metrics = require('lycosa.core.metrics')
local types = require('lycosa.core.types')

local contract = {}

local MODES = {read = true, write = true, wait = true}
local ACCESS = {read = true, app = true, worker = true, admin = true}

---@class lycosa.Declaration
---@field name string `<domain>.<procedure>`
---@field access string read | app | worker | admin
---@field mode string read | write | wait
---@field doc string
---@field args lycosa.Field[]
---@field returns lycosa.Type
---@field errors string[]
---@field run fun(args: table, prepared: any): any a read is told as its second argument whether its answer will be packed
---as soon as it returns, so that the rows may be borrowed
---@field prepare nil|fun(args: table): any what a write has to wait for, such as the disk, before its transaction begins;
---its answer goes to `run`. Left out where the caller's own transaction is joined
---@field packs string? field of the answer, a list of tuples, that a caller may ask for as one string of MessagePack
---@field coalesce string? the procedure that does many such calls at once: a list of what differs, answered in its order
---@field idempotent boolean? a repeated call with the same arguments does no harm; reads always are

local function check_declaration(declaration)
    local name = declaration.name
    assert(type(name) == 'string' and name:match('^%l[%l%d_]*%.%l[%l%d_]*$'), 'bad procedure name ' .. tostring(name))
    assert(MODES[declaration.mode], name .. ': unknown mode ' .. tostring(declaration.mode))
    assert(ACCESS[declaration.access], name .. ': unknown access ' .. tostring(declaration.access))
    assert(type(declaration.doc) == 'string' and #declaration.doc > 10, name .. ': doc is missing')
    assert(type(declaration.run) == 'function', name .. ': run is not a function')
    assert(declaration.returns and declaration.returns.kind, name .. ': returns is not a type')
    for _, code in ipairs(declaration.errors or {}) do
        assert(errors.catalogue[code], name .. ': error ' .. code .. ' is not in the catalogue')
    end
end

-- What pcall's handler does with an error: a catalogued one passes, the server's own are translated, anything else
-- is a bug whose trace goes to the log and whose text stays here.
local function translate(name, raised)
    if errors.parse(raised) then
        return raised
    end
    if type(raised) == 'cdata' then
        if raised.code == box.error.READONLY then
            return errors.text('READ_ONLY', {})
        elseif raised.type == 'OutOfMemory' or raised.code == box.error.MEMORY_ISSUE then
            local space = memory.writing(name:match('^%l+'))
            return errors.text('MEMORY_FULL', {used = 100, space = space, limit = 100, retry_after = 5})
        elseif raised.code == box.error.WAL_IO or raised.code == (box.error.CASCADE_ROLLBACK or -1) then
            -- From 2.10 on, transactions that waited behind a failed write carry a code of their own.
            return errors.text('COMMIT_FAILED', {problem = tostring(raised), retry_after = 1})
        end
    end
    log.error('%s failed: %s\n%s', name, tostring(raised), debug.traceback())
    return ('INTERNAL: %s failed; the trace is in the server log {"procedure":"%s"}'):format(name, name)
end

-- Raise what translate gave: an error object as it is, a text as an error of the wire code.
local function raise(failure)
    if type(failure) == 'string' then
        box.error{code = 5000, reason = failure}
    end
    error(failure, 0)
end

local function binder(declaration)
    local bind = types.binder(declaration.args)
    local name = declaration.name
    return function(args)
        if args == nil then
            args = {}
        elseif type(args) ~= 'table' then
            errors.raise('INVALID_ARGUMENT', {argument = '#1', problem = 'is not one map of named arguments'})
        end
        local bound, problem, path = bind(args)
        if bound == nil then
            if problem == 'is not known' and not path:find('[.%[]') then
                errors.raise('UNKNOWN_ARGUMENT', {argument = path, procedure = name})
            end
            errors.raise('INVALID_ARGUMENT', {argument = path, problem = problem})
        end
        return bound
    end
end

-- `run` as one transaction: an error leaves it open, and the wrapper rolls it back.
local function in_transaction(run, prepare)
    return function(bound)
        local prepared = prepare and prepare(bound)
        box.begin()
        local answer = run(bound, prepared)
        box.commit()
        return answer
    end
end

-- Called inside a transaction of the console's own, a procedure undoes only its own part.
local function in_savepoint(run)
    return function(bound)
        local savepoint = box.savepoint()
        local ok, answer = pcall(run, bound)
        if not ok then
            box.rollback_to_savepoint(savepoint)
            error(answer, 0)
        end
        return answer
    end
end

-- One that waits opens transactions of its own, so it cannot be part of the caller's.
local function outside_transactions(name, run)
    return function(bound)
        if box.is_in_txn() then
            errors.raise('IN_TRANSACTION', {procedure = name})
        end
        return run(bound)
    end
end

-- How a procedure runs when no transaction of the caller is joined.
local function runner(declaration)
    if declaration.mode == 'write' then
        return in_transaction(declaration.run, declaration.prepare)
    elseif declaration.mode == 'wait' then
        return outside_transactions(declaration.name, declaration.run)
    end
    return declaration.run
end

-- The procedure itself: what the console calls and what the wire calls. `deadline` (unix seconds by the caller's
-- clock, corrected by the client for skew) refuses work whose caller has already gone. `packed` asks for the field that
-- the declaration packs as one string: drivers unpack a page of rows value by value, at five times the cost.
local function procedure(declaration)
    local name, writes = declaration.name, declaration.mode == 'write'
    local alone, nested = runner(declaration), in_savepoint(declaration.run)
    local bind, packs = binder(declaration), declaration.packs
    local figures = metrics.procedure(name)
    local monotonic, wall, is_in_txn = clock.monotonic, clock.wall, box.is_in_txn
    local function work(args, deadline, joined, packed)
        if deadline ~= nil and type(deadline) ~= 'number' then
            errors.raise('INVALID_ARGUMENT', {argument = '#2', problem = 'is not a deadline in unix seconds'})
        elseif deadline ~= nil and wall() > deadline then
            local late = math.floor((wall() - deadline) * 1000 + 0.5) / 1000
            errors.raise('DEADLINE_EXCEEDED', {procedure = name, late = late, retry_after = 0.1})
        end
        local bound = bind(args)
        if joined then
            return nested(bound)
        end
        local answer = alone(bound, packed)
        if packed and packs ~= nil then
            answer[packs] = msgpack.encode(answer[packs])
        end
        return answer
    end
    local function handler(raised)
        return translate(name, raised)
    end
    return function(args, deadline, packed)
        local started = monotonic()
        local joined = writes and is_in_txn()
        local ok, answer = xpcall(work, handler, args, deadline, joined, packed)
        local seconds = monotonic() - started
        figures.calls = figures.calls + 1
        figures.seconds = figures.seconds + seconds
        if seconds > figures.slowest then
            figures.slowest = seconds
        end
        if not ok then
            figures.errors = figures.errors + 1
            if writes and not joined then
                box.rollback()
            end
            raise(answer)
        end
        return answer
    end
end

-- One text for one value whatever the order of its keys, so that digests are equal on every server.
local function canonical(value)
    if type(value) ~= 'table' then
        return type(value) == 'string' and ('%q'):format(value) or tostring(value)
    end
    local keys = {}
    for key in pairs(value) do
        table.insert(keys, key)
    end
    table.sort(keys, function(left, right)
        return tostring(left) < tostring(right)
    end)
    local parts = {}
    for i, key in ipairs(keys) do
        parts[i] = tostring(key) .. '=' .. canonical(value[key])
    end
    return '{' .. table.concat(parts, ',') .. '}'
end

-- Words do not change a contract.
local function without_docs(value)
    if type(value) ~= 'table' then
        return value
    end
    local kept = {}
    for key, inner in pairs(value) do
        if key ~= 'doc' then
            kept[key] = without_docs(inner)
        end
    end
    return kept
end

local function describe(declaration)
    local described = {
        name = declaration.name, access = declaration.access, mode = declaration.mode,
        doc = declaration.doc,
        args = types.describe_fields(declaration.args),
        returns = types.describe(declaration.returns),
        errors = declaration.errors or {},
        idempotent = declaration.mode == 'read' or declaration.idempotent == true,
        packs = declaration.packs, coalesce = declaration.coalesce,
    }
    table.sort(described.errors)
    described.digest = digest.sha1_hex(canonical(without_docs(described))):sub(1, 16)
    return described
end

---Make procedures of declarations and hang them into `root` as root.<domain>.<procedure>.
---@param declarations lycosa.Declaration[]
---@param root table
---@return table[] descriptions sorted by name
function contract.load(declarations, root)
    local descriptions, seen = {}, {}
    for _, declaration in ipairs(declarations) do
        check_declaration(declaration)
        assert(not seen[declaration.name], 'procedure ' .. declaration.name .. ' is declared twice')
        seen[declaration.name] = true
        local domain, short = declaration.name:match('^(.-)%.(.+)$')
        root[domain] = root[domain] or {}
        root[domain][short] = procedure(declaration)
        table.insert(descriptions, describe(declaration))
    end
    for _, declaration in ipairs(declarations) do
        local many = declaration.coalesce
        assert(many == nil or seen[many], ('%s: there is no procedure %s'):format(declaration.name, tostring(many)))
    end
    table.sort(descriptions, function(left, right)
        return left.name < right.name
    end)
    return descriptions
end

---Digest of a whole contract: what a client compares on connecting.
---@param descriptions table[]
---@return string
function contract.digest(descriptions)
    local parts = {}
    for i, described in ipairs(descriptions) do
        parts[i] = described.name .. ':' .. described.digest
    end
    return digest.sha1_hex(table.concat(parts, '\n')):sub(1, 16)
end

return contract
