-- Lycosa's start: schema, procedures, grants, background work. The one place where their order is known.

local clock = require('lycosa.core.clock')
local contract = require('lycosa.core.contract')
local daemon = require('lycosa.core.daemon')
local help = require('lycosa.console.help')
local memory = require('lycosa.core.memory')
local memory_tables = require('lycosa.console.memory')
local publish = require('lycosa.core.publish')
local quota_tables = require('lycosa.console.quotas')
local schema = require('lycosa.schema')
local status = require('lycosa.console.status')

local lycosa = {}

-- Each domain is a module lycosa.<name> with its declarations in lycosa.api.<name>.
local DOMAINS = {
    'system',
    'customer',
    'request',
    'cache',
    'document',
    'quota',
    'lookup',
    'event',
    'kv',
    'session',
    'checkpoint',
    'access',
}

local descriptions = {}

---Every published procedure as data: name, doc, access, mode, args, returns, errors, digest.
---@return table[] sorted by name
function lycosa.contract()
    return descriptions
end

---Help for the console: every procedure, those of a domain, or one in full.
---@param name string? a procedure or a domain
---@return string
function lycosa.help(name)
    return help.text(descriptions, name)
end

---State for the console: memory, spaces, the cache, background steps and calls as tables.
---@return string
function lycosa.status()
    return status.text(schema.version())
end

---Memory for the console: its fill and growth, what takes it, and how it is split by size of rows, as tables.
---@return string
function lycosa.memory()
    return memory_tables.text()
end

---Quotas for the console: limits, what counts against them and what is left, as a table.
---@param tenant string? the first limits of all tenants when absent
---@return string
function lycosa.quotas(tenant)
    return quota_tables.text(tenant, clock.now())
end

-- Published only in testing mode and never part of the contract: time in the hands of tests.
local function testing_procedures()
    return {
        ['testing.freeze'] = function(at) clock.freeze(at) end,
        ['testing.advance'] = function(seconds) clock.advance(seconds) end,
        ['testing.release'] = function() clock.release() end,
        ['testing.drain'] = function(step) return daemon.drain(step) end,
        ['testing.empty'] = function() end,
    }
end

---Start on a configured box (box.cfg has run). Idempotent for the data; call once a process.
---@param settings {user: string?, password: string?, testing: boolean?, retention_days: integer?,
---     request_cold_days: integer?}
---@return table lycosa also set as the global `lycosa`
function lycosa.start(settings)
    local declarations, wanted = {}, {}
    for _, domain in ipairs(DOMAINS) do
        for _, declaration in ipairs(require('lycosa.api.' .. domain)) do
            table.insert(declarations, declaration)
            wanted[declaration.name] = declaration.access
        end
    end
    descriptions = contract.load(declarations, lycosa)
    if settings.testing then
        lycosa.testing = {}
        for name, run in pairs(testing_procedures()) do
            lycosa.testing[name:match('%.(.+)$')] = run
            wanted[name] = 'app'
        end
    end
    rawset(_G, 'lycosa', lycosa)
    if not box.info.ro then
        schema.apply()
        publish.reconcile(wanted)
        if settings.user then
            publish.user(settings.user, settings.password, 'app')
        end
    end
    for _, name in ipairs(DOMAINS) do
        local domain = require('lycosa.' .. name)
        if domain.configure then
            domain.configure(settings)
        end
        for _, step in ipairs(domain.steps or {}) do
            daemon.register(step)
        end
    end
    for _, step in ipairs(memory.steps) do
        daemon.register(step)
    end
    daemon.start()
    return lycosa
end

---Stop background work after the slice it is in. The database stays up.
function lycosa.stop()
    daemon.stop()
end

return lycosa
