#!/usr/bin/env tarantool
-- The server's composition root: settings, box.cfg, procedures, and only then the door.

local fio = require('fio')
local root = fio.dirname(fio.abspath(arg[0]))
package.path = ('%s/lua/?.lua;%s/lua/?/init.lua;%s'):format(root, root, package.path)

local function refuse(problem)
    io.stderr:write('lycosa: ' .. tostring(problem) .. '\n')
    os.exit(1)
end

local read, settings = pcall(function()
    return require('lycosa.settings').read(os.environ())
end)
if not read then
    refuse(settings)
end

-- By default the compiler forgets all it has compiled whenever that passes 512 KiB, and the server runs at a third of its
-- speed until it has compiled it again.
require('jit').opt.start('maxtrace=8000', 'maxmcode=16384')

local started, problem = pcall(function()
    -- Once in a process, when the arena stands and holds nothing yet.
    box.ctl.on_schema_init(function()
        require('lycosa.core.memory.huge_pages').advise(settings.box.memtx_memory)
    end)
    box.cfg(settings.box)
    if box.info.ro then
        box.ctl.wait_rw()
    end
    require('lycosa').start(settings)
    fio.unlink(settings.console)
    require('console').listen('unix/:' .. settings.console)
    box.cfg{listen = settings.listen}
end)
if not started then
    refuse(problem)
end
io.stdout:write('lycosa: ready on ' .. settings.listen .. '\n')
io.stdout:flush()
