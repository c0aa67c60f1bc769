-- Drives the schema ledger for upgrade_test.py: tarantool ledger.lua <lua dir> <data dir> <command> [argument]

local lua, data, command, argument = arg[1], arg[2], arg[3], arg[4]
package.path = ('%s/?.lua;%s/?/init.lua;%s'):format(lua, lua, package.path)
box.cfg{work_dir = data, log = data .. '/log', feedback_enabled = false}

local json = require('json')
local schema = require('lycosa.schema')

local commands = {}

-- Apply migrations up to a number and fill what there is.
function commands.upto(number)
    schema.apply(tonumber(number))
    box.space.customer:replace{
        'acme', 1, 'c-1', 1, box.NULL, 'Acme', 'acme', box.NULL, 'smb', {'a', 'b'}, box.NULL, box.NULL, 5, 1, 1, 1, 1,
        setmetatable({}, {__serialize = 'map'}),
    }
end

-- Entries of the cache as they stood before they were found by numbers.
function commands.cached()
    schema.apply(13)
    for i, key in ipairs({'b', 'a', 'ключ'}) do
        local row = {'acme', 1, key, 'v' .. i, 'text/plain', 1, 4e9 - i, 4e9 - i, false, {'t' .. i % 2}, 10 + i}
        local weight = box.space.cache_entry:insert(row):bsize() + 96
        box.space.cache_total:upsert({'acme', 1, 1, weight}, {{'+', 3, 1}, {'+', 4, weight}})
    end
end

function commands.apply()
    print(json.encode{applied = schema.apply(), version = schema.version()})
end

-- Every definition of ours: spaces with formats, indexes with parts. Ids are left out: only names matter.
function commands.dump()
    local spaces = {}
    for _, space in box.space._space:pairs() do
        if space.id >= 512 then
            local indexes = {}
            for _, index in box.space._index:pairs{space.id} do
                indexes[index.name] = {index.type, index.opts, index.parts}
            end
            spaces[space.name] = {engine = space.engine, flags = space.flags, format = space.format, indexes = indexes}
        end
    end
    print(json.encode{spaces = spaces, customers = box.space.customer and box.space.customer:len() or 0})
end

function commands.future()
    schema.apply()
    box.space.schema_ledger:insert{99, 'future', 'x', 0}
end

function commands.edited()
    schema.apply()
    box.space.schema_ledger:update(1, {{'=', 3, 'x'}})
end

-- A migration that fails half-way.
function commands.broken()
    local ok, problem = pcall(schema.apply)
    print(json.encode{ok = ok, problem = tostring(problem), version = schema.version(),
        left = box.space.half_made ~= nil})
end

commands[command](argument)
io.stdout:flush()
os.exit(0)
