-- API keys: who may ask, for which tenant, with which scopes.
--
--     (none) --create--> live --revoke--> revoked --90 days--> (none)
--                        live --expires_at passes--> expired --90 days--> (none)
--
-- A key is `lyc_<id>_<secret>`. Its maker makes the secret, 32 bytes by chance, and shows it once; what comes here is
-- the secret's SHA-256, its proof, and what is kept is a salted hash of that. So neither the store nor its log ever
-- holds what opens a door, and a `create` whose answer was lost is repeated by its maker with the same id and proof:
-- no key is left behind that somebody has and nobody knows of.

local digest = require('digest')
local bucket = require('lycosa.core.bucket')
local clock = require('lycosa.core.clock')
local cursor = require('lycosa.core.cursor')
local errors = require('lycosa.core.errors')
local memory = require('lycosa.core.memory')
local metrics = require('lycosa.core.metrics')

local access = {}

-- Fields of `access_key`.
local TENANT, ID, NAME, SCOPES, CREATED, CREATOR = 1, 3, 4, 5, 6, 7
local EXPIRES, REVOKED, USED, FORGOTTEN, SALT, HASH = 8, 9, 10, 11, 12, 13

---Keys that a tenant may have, those that ended included.
access.MOST_KEYS = 1000
-- Seconds that a key which ended is still listed.
local KEPT_FOR = 90 * 86400
-- Uses that wait to be written down; beyond it they are forgotten.
local MOST_USES = 10000

-- Hashed where no key has the id, so that an unknown one takes as long as a wrong secret.
local NO_SALT, NO_HASH = ('0'):rep(32), ('0'):rep(64)

-- id -> {tenant, when}: used since it was last written down. A read that wrote would be no read.
local uses, uses_count = {}, 0

-- What is told of a key: everything but salt and hash.
local function shown(row)
    return {
        row[ID], row[NAME], row[SCOPES], row[CREATED], row[CREATOR] or box.NULL, row[EXPIRES] or box.NULL,
        row[REVOKED] or box.NULL, row[USED] or box.NULL,
    }
end

local function by_id(id)
    return box.space.access_key.index.id:select({id}, {limit = 1})[1]
end

local function hash_of(salt, proof)
    return digest.sha256_hex(salt .. proof)
end

-- Takes as long wherever the difference is.
local function equal(left, right)
    local difference = bit.bxor(#left, #right)
    for i = 1, #right do
        difference = bit.bor(difference, bit.bxor(left:byte(i) or 0, right:byte(i)))
    end
    return difference == 0
end

-- Each scope once, in an order of their own.
local function sorted(scopes)
    local seen, found = {}, {}
    for _, scope in ipairs(scopes) do
        if not seen[scope] then
            seen[scope] = true
            table.insert(found, scope)
        end
    end
    table.sort(found)
    return found
end

-- A repeated call finds its own key.
local function is_same(row, args, scopes)
    return row[TENANT] == args.tenant and row[NAME] == args.name and row[EXPIRES] == args.expires_at
        and table.concat(row[SCOPES], ' ') == table.concat(scopes, ' ')
        and equal(hash_of(row[SALT], args.proof), row[HASH])
end

---Make a key. The same call repeated answers the key that is there. Raises ACCESS_KEY_EXISTS when its id is another
---key's, ACCESS_KEYS_FULL, MEMORY_FULL.
---@param args {tenant: string, id: string, proof: string, name: string, scopes: string[], expires_at: number?,
---     created_by: string?}
---@return table the key, without its hash
function access.create(args)
    local now, scopes = clock.now(), sorted(args.scopes)
    local row = by_id(args.id)
    if row ~= nil then
        if not is_same(row, args, scopes) then
            errors.raise('ACCESS_KEY_EXISTS', {id = args.id})
        end
        return shown(row)
    elseif args.expires_at ~= nil and args.expires_at <= now then
        errors.raise('INVALID_ARGUMENT', {argument = 'expires_at', problem = 'is not in the future'})
    elseif box.space.access_key.index.key:count({args.tenant}) >= access.MOST_KEYS then
        errors.raise('ACCESS_KEYS_FULL', {limit = access.MOST_KEYS})
    end
    memory.admit('access_key', 'access')
    local salt = digest.urandom(16):hex()
    local forgotten = args.expires_at ~= nil and args.expires_at + KEPT_FOR or box.NULL
    return shown(box.space.access_key:insert{
        args.tenant, bucket.of(args.tenant), args.id, args.name, scopes, now, args.created_by or box.NULL,
        args.expires_at or box.NULL, box.NULL, box.NULL, forgotten, salt, hash_of(salt, args.proof),
    })
end

local function inside(row, scan)
    return row[TENANT] == scan.anchor[1]
end

---A page of a tenant's keys, the newest first, those that ended included.
---@param args {tenant: string, cursor: string?, limit: integer}
---@return {rows: table[], next: string?, previous: string?}
function access.list(args)
    local anchor = {args.tenant}
    local rows, next_text, previous_text = cursor.page({
        index = box.space.access_key.index.created, anchor = anchor, first = anchor, last = anchor,
        last_inclusive = true, fields = {CREATED, ID}, kinds = {'number', 'string'}, inside = inside, descending = true,
        fingerprint = cursor.fingerprint{'access_key', args.tenant},
    }, args.cursor, args.limit)
    for i, row in ipairs(rows) do
        rows[i] = shown(row)
    end
    return {rows = rows, next = next_text or box.NULL, previous = previous_text or box.NULL}
end

---End a key at once. One that was revoked before stays as it was. Raises ACCESS_KEY_NOT_FOUND.
---@param args {tenant: string, id: string}
---@return table the key, without its hash
function access.revoke(args)
    local key = {args.tenant, args.id}
    local row = box.space.access_key:get(key)
    if row == nil then
        errors.raise('ACCESS_KEY_NOT_FOUND', {id = args.id})
    elseif row[REVOKED] == nil then
        local now = clock.now()
        row = box.space.access_key:update(key, {{'=', REVOKED, now}, {'=', FORGOTTEN, now + KEPT_FOR}})
    end
    return shown(row)
end

local function refuse(problem)
    metrics.count('access.refused')
    errors.raise('ACCESS_KEY_REFUSED', {problem = problem})
end

local function note_use(row, now)
    local known = uses[row[ID]]
    if known ~= nil then
        known[2] = now
    elseif uses_count < MOST_USES then
        uses[row[ID]], uses_count = {row[TENANT], now}, uses_count + 1
    end
end

---Whose key it is and what it may. That it ended is told only to who has its secret. Raises ACCESS_KEY_REFUSED.
---@param args {id: string, proof: string}
---@return {tenant: string, scopes: string[], expires_at: number?}
function access.authenticate(args)
    local row, now = by_id(args.id), clock.now()
    local found = hash_of(row and row[SALT] or NO_SALT, args.proof)
    if not equal(found, row and row[HASH] or NO_HASH) then
        refuse('is not known')
    elseif row[REVOKED] ~= nil then
        refuse('was revoked')
    elseif row[EXPIRES] ~= nil and row[EXPIRES] <= now then
        refuse('has expired')
    end
    note_use(row, now)
    return {tenant = row[TENANT], scopes = row[SCOPES], expires_at = row[EXPIRES] or box.NULL}
end

-- Write down when keys were last used, at most `limit` of them. The daemon comes by once a minute.
---@param limit integer
---@return boolean more
local function write_uses(limit)
    local taken, count = {}, 0
    for id, use in pairs(uses) do
        if count == limit then
            break
        end
        taken[id], count = use, count + 1
    end
    box.begin()
    for id, use in pairs(taken) do
        -- Not an upsert: a key that is gone meanwhile stays gone.
        box.space.access_key:update({use[1], id}, {{'=', USED, use[2]}})
    end
    box.commit()
    for id in pairs(taken) do
        uses[id], uses_count = nil, uses_count - 1
    end
    return uses_count > 0
end

-- Delete at most `limit` keys that ended 90 days ago.
---@param limit integer
---@return boolean more
---@return number? next_due unix seconds
local function forget(limit)
    local ends, now = box.space.access_key.index.forgotten, clock.now()
    -- Those that never end stand first, without a moment.
    local rows = ends:select({0}, {iterator = 'GE', limit = limit + 1})
    local count = 0
    box.begin()
    for i = 1, math.min(#rows, limit) do
        if rows[i][FORGOTTEN] > now then
            break
        end
        box.space.access_key:delete{rows[i][TENANT], rows[i][ID]}
        count = i
    end
    box.commit()
    local due = rows[count + 1] and rows[count + 1][FORGOTTEN]
    return due ~= nil and due <= now, due
end

access.steps = {
    {name = 'access.use', run = write_uses, limit = 200},
    {name = 'access.forget', run = forget, limit = 200},
}

return access
