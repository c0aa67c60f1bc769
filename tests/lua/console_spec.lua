local errors = require('lycosa.core.errors')
local fio = require('fio')
local help = require('lycosa.console.help')
local popen = require('popen')
local printed = require('lycosa.console.table')
local support = require('tests.lua.support')

local ROOT = fio.dirname(fio.dirname(fio.dirname(fio.abspath(debug.getinfo(1, 'S').source:gsub('^@', '')))))

local function lines_of(text)
    local lines = {}
    for line in (text .. '\n'):gmatch('(.-)\n') do
        table.insert(lines, line)
    end
    return lines
end

-- What makes the console print a text as it stands and not as a quoted string.
local function is_printable(text)
    assert.is_truthy(text:find('\n\n', 1, true))
    assert.is_nil(text:match('^%s'))
    assert.is_nil(text:match('\n$'))
    assert.is_nil(text:find('[\t\r]'))
    for _, line in ipairs(lines_of(text)) do
        assert.is_nil(line:match('%s$'), line)
    end
end

describe('tables', function()
    it('are aligned by characters, in Latin and Cyrillic', function()
        assert.are.same({
            'name    sum',
            '------  ---',
            'Ёлка      5',
            'Acme    120',
            'Москва',
        }, printed.lines({{'name'}, {'sum', right = true}}, {{'Ёлка', '5'}, {'Acme', '120'}, {'Москва', ''}}))
        assert.are.equal(2, printed.width('яя'))
        assert.are.equal(1, printed.width('\255'))
    end)

    it('may be empty', function()
        assert.are.same({'a  bc', '-  --'}, printed.lines({{'a'}, {'bc'}}, {}))
    end)

    it('show numbers as people read them', function()
        assert.are.same({'0', '999', '1,000', '1,234,567', '-1,000'}, {
            printed.whole(0), printed.whole(999), printed.whole(1000), printed.whole(1234567ULL), printed.whole(-1000),
        })
        assert.are.same({'0 B', '1023 B', '1.0 KiB', '256.0 MiB', '1.5 GiB'}, {
            printed.bytes(0), printed.bytes(1023), printed.bytes(1024), printed.bytes(256 * 1048576),
            printed.bytes(1.5 * 1024 ^ 3),
        })
        assert.are.equal('0.125', printed.milliseconds(0.000125))
        assert.are.same({'0', '0.00', '0.05', '1.00', '1,234.567890', '9,000,000,000,000,000'}, {
            printed.decimal(0, 0), printed.decimal(0, 2), printed.decimal(5, 2), printed.decimal(100ULL, 2),
            printed.decimal(1234567890, 6), printed.decimal(9e15, 0),
        })
    end)

    it('show durations in the unit that fits', function()
        assert.are.same({'0 s', '119 s', '2 min', '119 min', '2.0 h', '47.5 h', '2 days'}, {
            printed.duration(0), printed.duration(119), printed.duration(120),
            printed.duration(7140), printed.duration(7200), printed.duration(171000),
            printed.duration(172800),
        })
    end)
end)

describe('lycosa.help', function()
    it('lists every procedure with what it does', function()
        local text = lycosa.help()
        is_printable(text)
        for _, described in ipairs(lycosa.contract()) do
            assert.is_truthy(text:find('\n' .. described.name .. ' ', 1, true), described.name)
        end
        assert.is_truthy(text:find('Store a value under a key', 1, true))
    end)

    it('tells arguments, answer, errors and an example of one', function()
        local text = lycosa.help('request.list')
        is_printable(text)
        for _, wanted in ipairs({
            'lycosa.request.list (access read, mode read, may be repeated)', "lycosa.request.list{tenant = 'default'}",
            'asc | desc', "'desc'", 'integer 1..1,000', 'rows in a page', 'RequestPage', 'list of RequestSummary, up to 1,000',
            'INVALID_CURSOR', 'UNKNOWN_ARGUMENT', 'cursor {problem}; ask again without it',
        }) do
            assert.is_truthy(text:find(wanted, 1, true), wanted)
        end
        assert.is_nil(text:find('READ_ONLY', 1, true))
        assert.is_truthy(lycosa.help('lycosa.cache.set'):find('READ_ONLY', 1, true))
        assert.is_truthy(lycosa.help('request.append'):find('\nArgument RequestSourceInput\n', 1, true))
    end)

    it('prints every procedure, and each example is Lua that binds', function()
        for _, described in ipairs(lycosa.contract()) do
            is_printable(lycosa.help(described.name))
            local example = help.example(described)
            local chunk, problem = loadstring('return function(lycosa) ' .. example .. ' end')
            assert(chunk, tostring(problem))
            -- Run for its arguments only: whatever the procedure answers, none of them may be unknown or missing, but
            -- one that is optional in general and needed by the look-up chosen.
            local optional = {}
            for _, argument in ipairs(described.args) do
                optional[argument.name] = argument.optional
            end
            -- One that waits opens transactions of its own.
            local waits = described.mode == 'wait'
            if not waits then
                box.begin()
            end
            local ok, raised = pcall(chunk(), lycosa)
            box.rollback()
            if not ok then
                local code, details = errors.parse(raised)
                assert.is_not_nil(code, example .. ' ' .. tostring(raised))
                assert.are_not.equal('UNKNOWN_ARGUMENT', code, example)
                assert.is_true(code ~= 'INVALID_ARGUMENT' or optional[details.argument], example)
            end
        end
    end)

    it('lists a domain', function()
        local text = lycosa.help('cache')
        is_printable(text)
        assert.is_truthy(text:find('cache.set', 1, true))
        assert.is_nil(text:find('request.get', 1, true))
    end)

    it('names the nearest when a name is unknown', function()
        for typed, wanted in pairs({
            ['custmer.find'] = 'customer.find', ['cache.gett'] = 'cache.get', ['reqest.append'] = 'request.append',
            ['request_list'] = 'request.list', ['кэш'] = 'cache.get', [''] = 'cache.delete',
        }) do
            local text = lycosa.help(typed)
            is_printable(text)
            assert.is_truthy(text:find('There is no procedure', 1, true))
            if typed:find('[%w]') then
                assert.are.equal(wanted, lines_of(text)[5]:match('^%S+'))
            end
        end
        is_printable(lycosa.help(5))
        is_printable(lycosa.help(('x'):rep(10000)))
        is_printable(lycosa.help('a\nb'))
    end)

    it('describes types that no procedure has yet', function()
        local T = require('lycosa.core.types')
        local types = {
            T.scalar, T.boolean, T.time, T.number(), T.number{min = 0.5}, T.number{max = 9}, T.map(T.scalar, {max = 3}),
            T.nullable(T.name), T.unchecked(T.record('Row', {{'id', T.name}, {'at', T.time, optional = true}})),
            T.list(T.enum{'a', 'b'}, {max = 4}), T.text{min = 10, max = 20}, T.integer{min = 0},
        }
        local fields = {}
        for i, type_ in ipairs(types) do
            fields[i] = {'field' .. i, type_}
        end
        local text = help.text({{
            name = 'spec.all', access = 'app', mode = 'read', idempotent = true, doc = 'All types.', errors = {},
            args = T.describe_fields(fields), returns = T.describe(T.none),
        }}, 'spec.all')
        for _, wanted in ipairs({
            'text, number or boolean', 'boolean', 'unix seconds', 'number from 0.5', 'number up to 9', 'or null',
            'map of text, number or boolean, up to 3 keys', 'Argument Row', 'list of a | b, up to 4', 'integer from 0',
            'text 10..20 bytes', '  nothing', "field9 = {id = 'id-1'}", 'field5 = 1,',
        }) do
            assert.is_truthy(text:find(wanted, 1, true), wanted)
        end
    end)
end)

describe('lycosa.status', function()
    before_each(support.reset)

    it('prints memory, spaces, steps and calls', function()
        lycosa.cache.set{tenant = 'acme', key = 'k', value = 'v', ttl = 5}
        local text = lycosa.status()
        is_printable(text)
        for _, wanted in ipairs({
            'writable', 'quota', '256.0 MiB', 'cache_entry', 'memtx', 'cache.expire', 'memory.collect', 'request.retain',
            'cache.set', 'slowest ms',
        }) do
            assert.is_truthy(text:find(wanted, 1, true), wanted)
        end
        local rows = text:match('\ncache_entry +memtx +(%d+) ')
        assert.are.equal('1', rows)
    end)
end)

describe('the table of the cache', function()
    before_each(support.reset)

    it('shows the server and its largest tenants, in Latin and Cyrillic', function()
        for number = 1, 12 do
            lycosa.cache.set{
                tenant = 'tenant-' .. number, key = 'k', value = ('v'):rep(number * 100), media_type = 'text/plain', ttl = 5,
            }
        end
        lycosa.cache.set{tenant = 'Ёлка 1', key = 'k', value = ('v'):rep(2000), media_type = 'text/plain', ttl = 5}
        for _, key in ipairs({'k', 'k', 'k', 'none'}) do
            lycosa.cache.get{tenant = 'Ёлка 1', key = key}
        end
        local text = lycosa.status()
        is_printable(text)
        local names, counts, within = {}, {}, false
        for _, line in ipairs(lines_of(text)) do
            local name, entries = line:match('^(.-)%s%s+(%d+)%s')
            if line:find('^cache of') then
                within = true
            elseif within and line == '' then
                break
            elseif within and name then
                table.insert(names, name)
                counts[name] = {entries, line}
            end
        end
        assert.are.same({
            '(all)', 'Ёлка 1', 'tenant-12', 'tenant-11', 'tenant-10', 'tenant-9', 'tenant-8', 'tenant-7', 'tenant-6',
            'tenant-5', 'tenant-4',
        }, names)
        assert.are.equal('13', counts['(all)'][1])
        assert.are.equal('1', counts['Ёлка 1'][1])
        assert.is_truthy(counts['Ёлка 1'][2]:find('75.0 %%  +3  +0  +1  +0  +0  +0$'), counts['Ёлка 1'][2])
    end)
end)

describe('lycosa.quotas', function()
    before_each(support.reset)

    local function define(tenant, quota, fields)
        fields.tenant, fields.quota = tenant, quota
        lycosa.quota.define(fields)
    end

    it('shows limits of all tenants or of one, with amounts as decimals', function()
        define('acme', 'usd', {kind = 'window', window = 'total', amount = 125000, scale = 2, unit = 'USD'})
        define('acme', 'модели', {kind = 'slots', amount = 4, shadow = true})
        define('omega', 'search', {kind = 'rate', amount = 10, period = 10})
        local function take(tenant, quota, amount)
            lycosa.quota.take{tenant = tenant, claims = {{quota = quota, amount = amount}}}
        end
        take('acme', 'usd', 120005)
        take('omega', 'search', 8)
        lycosa.quota.reserve{tenant = 'acme', id = 'r', lease = 60, claims = {{quota = 'модели', amount = 1}}}
        local text = lycosa.quotas()
        is_printable(text)
        assert.are.same({
            'Quotas: 3 of all tenants', '',
            'tenant  quota   kind      limit      used  reserved  unknown   left  unit  resets in  marks',
            '------  ------  -----  --------  --------  --------  -------  -----  ----  ---------  ------',
            'acme    usd     total  1,250.00  1,200.05      0.00     0.00  49.95  USD              near',
            'acme    модели  slots         4         0         1        0      3                   shadow',
            'omega   search  rate         10         8         0        0      2              8 s  near',
        }, lines_of(text))
        define('acme', 'usd', {kind = 'window', window = 'total', amount = 100000, scale = 2, unit = 'USD'})
        text = lycosa.quotas('acme')
        is_printable(text)
        assert.is_truthy(text:find('^Quotas of tenant acme\n'))
        assert.is_truthy(text:find('0.00  USD              over by 200.05\n', 1, true), text)
        assert.is_nil(text:find('omega', 1, true))
        assert.is_nil(text:find('are shown', 1, true))
    end)

    it('shows the first hundred and says so', function()
        for i = 1, 101 do
            define('acme', ('q%03d'):format(i), {kind = 'slots', amount = 1})
        end
        for _, text in ipairs({lycosa.quotas(), lycosa.quotas('acme')}) do
            is_printable(text)
            assert.is_truthy(text:find('\nacme +q100 '))
            assert.is_nil(text:find('q101', 1, true))
            assert.is_truthy(text:find('\n\nThe first 100 are shown.$'))
        end
        is_printable(lycosa.quotas('nobody'))
        is_printable(lycosa.quotas('a\nb'))
    end)
end)

describe('the console client', function()
    local directory, server

    setup(function()
        directory = fio.tempdir()
        server = require('console').listen('unix/:' .. directory .. '/console.sock')
    end)

    teardown(function()
        server:close()
        fio.rmtree(directory)
    end)

    before_each(support.reset)

    -- Run the client with piped input. Returns exit status, output, errors.
    local function client(path, input)
        local child = popen.new({fio.readlink('/proc/self/exe'), ROOT .. '/deploy/console.lua', path}, {
            stdin = popen.opts.PIPE, stdout = popen.opts.PIPE, stderr = popen.opts.PIPE,
        })
        child:write(input)
        child:shutdown({stdin = true})
        local function all(option)
            local parts = {}
            repeat
                local part = child:read(option)
                table.insert(parts, part or '')
            until part == nil or part == ''
            return table.concat(parts)
        end
        local output, problems = all({stdout = true}), all({stderr = true})
        local status = child:wait().exit_code
        child:close()
        return status, output, problems
    end

    it('prints tables as they are and answers as YAML', function()
        local status, output, problems = client(directory .. '/console.sock', table.concat({
            "lycosa.help('cache')", "lycosa.cache.set{tenant = 'acme', key = 'ключ',", "  value = '1', ttl = 9}",
            "lycosa.cache.get{tenant = 'acme', key = 'ключ'}.value", '', '1 + 1',
        }, '\n'))
        assert.are.equal('', problems)
        assert.are.equal(0, status)
        assert.are.equal(lycosa.help('cache') .. '\n', output:sub(1, #lycosa.help('cache') + 1))
        assert.is_truthy(output:find("expires_at: 1700000009\n", 1, true))
        assert.is_truthy(output:find("\n- '1'\n", 1, true))
        assert.are.equal('---\n- 2\n...\n', output:match('%-%-%-\n%- 2\n.-$'):gsub('\n+$', '\n'))
        assert.are.equal('1', lycosa.cache.get{tenant = 'acme', key = 'ключ'}.value)
    end)

    it('prints the status', function()
        local status, output = client(directory .. '/console.sock', 'lycosa.status()')
        assert.are.equal(0, status)
        assert.is_truthy(output:find('^Lycosa on Tarantool'))
        assert.is_truthy(output:find('\ncache_entry ', 1, true))
    end)

    it('ends with 1 when a statement fails, after all have run', function()
        local status, output = client(directory .. '/console.sock', 'nobody.home()\n2 + 3\nif unfinished then')
        assert.are.equal(1, status)
        assert.is_truthy(output:find('- error: ', 1, true))
        assert.is_truthy(output:find('\n- 5\n', 1, true))
    end)

    it('says in one line that no server is there', function()
        local status, output, problems = client(directory .. '/nobody.sock', '1')
        assert.are.equal(1, status)
        assert.are.equal('', output)
        assert.are.equal(1, #lines_of((problems:gsub('\n$', ''))))
        assert.is_truthy(problems:find('no server answers at .*nobody.sock; start it with `make run`'))
    end)
end)
