-- The server as instance.lua starts it, but for one setting that no environment allows: it keeps no log of its writes.
-- luacheck: globals arg

local fio = require('fio')
local root = fio.dirname(fio.dirname(fio.dirname(fio.abspath(arg[0]))))
package.path = ('%s/lua/?.lua;%s/lua/?/init.lua;%s'):format(root, root, package.path)

local settings = require('lycosa.settings')
local read = settings.read

settings.read = function(environment)
    local found = read(environment)
    found.box.wal_mode = 'none'
    return found
end

arg[0] = fio.pathjoin(root, 'instance.lua')
dofile(arg[0])
