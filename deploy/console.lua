#!/usr/bin/env tarantool
-- The console of a running Lycosa: tarantool deploy/console.lua [path of console.sock]
--
-- At a terminal: line editing, history and completion. With piped input: every statement is run and its answer
-- printed; the exit status is 1 when one of them failed. Tables of lycosa.help() and lycosa.status() are printed
-- as they are, all other answers as YAML.

local console = require('console')
local ffi = require('ffi')
local socket = require('socket')

ffi.cdef('int isatty(int fd);')

local CONNECT_SECONDS = 3
local GREETING_BYTES = 128
local END_OF_ANSWER = '\n...\n'
local END_OF_INPUT = '$EOF$\n'

local path = arg[1] or (os.getenv('LYCOSA_DATA') or './var') .. '/console.sock'

local function fail(message)
    io.stderr:write('lycosa: ' .. message .. '\n')
    os.exit(1)
end

-- An answer that is one block of text, without the YAML around it; any other answer as it is.
local function plain(answer)
    local block = answer:match('^%-%-%-\n%- |%-?\n(.*)\n%.%.%.\n*$')
    if block == nil then
        return answer
    end
    local lines = {}
    for line in (block .. '\n'):gmatch('(.-)\n') do
        if line ~= '' and line:sub(1, 2) ~= '  ' then
            return answer
        end
        table.insert(lines, line:sub(3))
    end
    return table.concat(lines, '\n') .. '\n'
end

local function connect()
    local server = socket.tcp_connect('unix/', path, CONNECT_SECONDS)
    local greeting = server and server:read(GREETING_BYTES, CONNECT_SECONDS)
    if greeting == nil or #greeting < GREETING_BYTES then
        fail(('no server answers at %s; start it with `make run`, or name its console.sock'):format(path))
    end
    return server
end

-- At a terminal: Tarantool's own console, connected, with a printer that knows tables.
local function interactive()
    connect():close()
    console.on_start(function(repl)
        local connected, problem = pcall(console.connect, 'unix/:' .. path)
        if not connected then
            io.stderr:write(('lycosa: %s\n'):format(problem))
            repl.running = false
            return
        end
        local print_answer = repl.print
        repl.print = function(self, answer)
            print_answer(self, answer and plain(answer))
        end
    end)
    console.on_client_disconnect(function(repl)
        repl.running = false
    end)
    console.start()
end

-- One statement to the server, its answer back. Messages pushed on the way are printed as they come.
local function evaluate(server, statement)
    server:write(statement .. END_OF_INPUT)
    while true do
        local answer = server:read(END_OF_ANSWER)
        if answer == nil or answer == '' then
            fail('the server closed the connection')
        elseif answer:sub(1, 5) ~= '%TAG ' then
            return answer
        end
        io.stdout:write(answer)
    end
end

-- Whether a chunk of Lua goes on in the next line.
local function is_unfinished(statement)
    if loadstring('return ' .. statement) then
        return false
    end
    local _, problem = loadstring(statement)
    return problem ~= nil and problem:find("'<eof>'", 1, true) ~= nil
end

local function piped()
    local server, failed = connect(), false
    server:write('require("console").delimiter("$EOF$")\n')
    server:read(END_OF_ANSWER)
    local function run(statement)
        local answer = evaluate(server, statement)
        failed = failed or answer:find('^%-%-%-\n%- error: ') ~= nil
        io.stdout:write(plain(answer))
        io.stdout:flush()
    end
    local statement = ''
    for line in io.stdin:lines() do
        statement = statement == '' and line or statement .. '\n' .. line
        if statement:find('%S') and not is_unfinished(statement) then
            run(statement)
            statement = ''
        end
    end
    if statement:find('%S') then
        run(statement)
    end
    server:close()
    os.exit(failed and 1 or 0)
end

if ffi.C.isatty(0) == 1 then
    interactive()
else
    piped()
end
os.exit(0)
