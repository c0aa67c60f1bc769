-- The schema ledger: which migrations a data directory has seen.
--
-- Migrations are numbered, only added, only additive. Each runs in one transaction with its ledger row, so a process
-- that dies in the middle has done nothing. A ledger newer than the code, or a migration edited after it ran, is refused.

local digest = require('digest')
local fio = require('fio')
local clock = require('lycosa.core.clock')
local errors = require('lycosa.core.errors')

local schema = {}

local LEDGER = 'schema_ledger'

---Migrations in order. Adding one is a new line at the end.
schema.MIGRATIONS = {
    '0001_customer',
    '0002_request',
    '0003_cache',
    '0004_document',
    '0005_quota',
    '0006_cache',
    '0007_request_cold',
    '0008_lookup',
    '0009_event',
    '0010_kv',
    '0011_checkpoint',
    '0012_access',
    '0013_session',
    '0014_cache',
}

local function load_migration(module)
    local migration = require('lycosa.schema.' .. module)
    local source = debug.getinfo(migration.up, 'S').source:gsub('^@', '')
    local file = assert(fio.open(source, {'O_RDONLY'}))
    local text = file:read(1048576)
    file:close()
    return {id = migration.id, name = migration.name, up = migration.up, checksum = digest.sha256_hex(text)}
end

local function ensure_ledger()
    local ledger = box.schema.space.create(LEDGER, {
        if_not_exists = true,
        format = {
            {'id', 'unsigned'}, {'name', 'string'}, {'checksum', 'string'}, {'applied_at', 'number'},
        },
    })
    ledger:create_index('id', {parts = {{1, 'unsigned'}}, if_not_exists = true})
    return ledger
end

local function check_ledger(ledger, migrations)
    for _, row in ledger:pairs() do
        local migration = migrations[row.id]
        if migration == nil then
            errors.raise('SCHEMA_NEWER', {found = ledger.index.id:max().id, known = #migrations})
        elseif migration.checksum ~= row.checksum then
            errors.raise('SCHEMA_CHANGED', {id = row.id})
        end
    end
end

---Bring the data directory to this code's schema. Only on a writable instance.
---@param upto integer? last migration to run; all when absent
---@return integer applied how many ran now
function schema.apply(upto)
    local migrations = {}
    for i, module in ipairs(schema.MIGRATIONS) do
        migrations[i] = load_migration(module)
        assert(migrations[i].id == i, module .. ' does not carry the number ' .. i)
    end
    local ledger = ensure_ledger()
    check_ledger(ledger, migrations)
    local applied = 0
    for i = 1, upto or #migrations do
        local migration = migrations[i]
        if ledger:get(i) == nil then
            box.begin()
            local ok, problem = pcall(function()
                migration.up()
                ledger:insert{migration.id, migration.name, migration.checksum, clock.now()}
            end)
            if not ok then
                box.rollback()
                error(problem, 0)
            end
            box.commit()
            applied = applied + 1
        end
    end
    return applied
end

---The number of the newest migration this data directory has seen.
---@return integer
function schema.version()
    local newest = box.space[LEDGER] and box.space[LEDGER].index.id:max()
    return newest and newest.id or 0
end

return schema
