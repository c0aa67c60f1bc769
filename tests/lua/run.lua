-- Runs the Lua specs with busted inside the real Tarantool: tarantool tests/lua/run.lua [--coverage] [spec.lua ...]
-- Ends with the number of failures as exit status; with --coverage also when fewer than 90 % of the lines ran.

local fio = require('fio')

local here = fio.dirname(fio.abspath(arg[0]))
local root = fio.dirname(fio.dirname(here))
package.path = table.concat({
    root .. '/lua/?.lua', root .. '/lua/?/init.lua', root .. '/?.lua',
    '/usr/share/lua/5.1/?.lua', '/usr/share/lua/5.1/?/init.lua', package.path,
}, ';')
package.cpath = '/usr/lib/x86_64-linux-gnu/lua/5.1/?.so;/usr/lib/aarch64-linux-gnu/lua/5.1/?.so;' .. package.cpath

local LEAST_COVERAGE = 90

local with_coverage, specs = false, {}
for _, given in ipairs(arg) do
    if given == '--coverage' then
        with_coverage = true
    else
        table.insert(specs, fio.abspath(given))
    end
end
if #specs == 0 then
    specs = fio.glob(here .. '/*_spec.lua')
    table.sort(specs)
end

local data = fio.tempdir()
-- As the server is set by default.
local server = require('lycosa.settings').read{LYCOSA_DATA = data, LYCOSA_PASSWORD = 'secret'}.box
server.log = data .. '/tarantool.log'
box.cfg(server)
-- Loaded again where lines are counted.
package.loaded['lycosa.settings'] = nil

local coverage = require('tests.lua.coverage')
if with_coverage then
    coverage.start(root .. '/lua/lycosa')
end
require('lycosa').start{testing = true, user = 'lycosa', password = 'secret', retention_days = 0}

-- busted ends the process by itself; the report and the clean-up come before.
local exit = os.exit
local function finish(code)
    code = code == true and 0 or tonumber(code) or 1
    if with_coverage and coverage.report(root .. '/lua/lycosa') < LEAST_COVERAGE then
        print(('Lua coverage is below %d %%'):format(LEAST_COVERAGE))
        code = math.max(code, 1)
    end
    if code ~= 0 then
        print('server log: ' .. data .. '/tarantool.log')
    else
        fio.rmtree(data)
    end
    io.stdout:flush()
    exit(code)
end
os.exit = finish -- luacheck: ignore

-- busted reads the global `arg`.
arg = {[0] = 'busted', '--output=' .. (os.getenv('BUSTED_OUTPUT') or 'utfTerminal'), '--pattern=_spec', unpack(specs)} -- luacheck: ignore
require('busted.runner')({standalone = false})
finish(0)
