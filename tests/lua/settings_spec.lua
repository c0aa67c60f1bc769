local fio = require('fio')
local settings = require('lycosa.settings')
local support = require('tests.lua.support')

describe('settings', function()
    local directory

    before_each(function()
        directory = fio.tempdir()
    end)

    after_each(function()
        fio.rmtree(directory)
    end)

    local function read(given)
        return settings.read(support.with({LYCOSA_DATA = directory}, given))
    end

    local function problem(given)
        local ok, raised = pcall(read, given)
        assert.is_false(ok)
        return tostring(raised)
    end

    it('have defaults that start a server', function()
        local found = read()
        assert.are.equal(directory, found.data)
        assert.are.equal('127.0.0.1:3301', found.listen)
        assert.are.equal('lycosa', found.user)
        assert.are.same({0, 0, false}, {found.retention_days, found.request_cold_days, found.testing})
        assert.are.equal(fio.pathjoin(directory, 'console.sock'), found.console)
        assert.are.same({
            work_dir = directory, memtx_memory = 268435456, memtx_max_tuple_size = 2097152, slab_alloc_factor = 1.1,
            vinyl_memory = 67108864, vinyl_cache = 16777216, wal_mode = 'write', checkpoint_wal_threshold = 8388608, net_msg_max = 20000,
            readahead = 262144, feedback_enabled = false, log_level = 5,
        }, found.box)
    end)

    it('take what the environment says, and an empty variable for an absent one', function()
        local found = read{
            TARANTOOL_HOST = '/tmp/lycosa.sock', TARANTOOL_USER = '', LYCOSA_PASSWORD = 'secret', LYCOSA_MEMORY_MB = '64',
            LYCOSA_WAL_MODE = 'fsync', LYCOSA_RETENTION_DAYS = '400', LYCOSA_REQUEST_COLD_DAYS = '30', LYCOSA_TESTING = '1',
        }
        assert.are.equal('unix/:/tmp/lycosa.sock', found.listen)
        assert.are.same({'lycosa', 'secret', 400, 30, true}, {
            found.user, found.password, found.retention_days, found.request_cold_days, found.testing,
        })
        assert.are.same({67108864, 'fsync'}, {found.box.memtx_memory, found.box.wal_mode})
        assert.are.equal('127.0.0.1:4000', read{TARANTOOL_PORT = '4000'}.listen)
    end)

    it('step the sizes of rows more finely in a larger memory', function()
        local steps = {
            ['32'] = 1.5, ['127'] = 1.5, ['128'] = 1.2, ['255'] = 1.2, ['256'] = 1.1, ['1023'] = 1.1, ['1024'] = 1.05,
        }
        for megabytes, expected in pairs(steps) do
            assert.are.equal(expected, read{LYCOSA_MEMORY_MB = megabytes}.box.slab_alloc_factor)
        end
    end)

    it('let the log grow to a thirty-second of the memory before a snapshot, never below 8 MiB', function()
        for megabytes, expected in pairs({['32'] = 8, ['64'] = 8, ['256'] = 8, ['1024'] = 32, ['65536'] = 2048}) do
            assert.are.equal(expected * 1048576, read{LYCOSA_MEMORY_MB = megabytes}.box.checkpoint_wal_threshold)
        end
    end)

    it('refuse what is out of bounds by its name', function()
        for name, values in pairs({
            LYCOSA_MEMORY_MB = {'31', '1048577', '64.5', 'much', '0x'}, TARANTOOL_PORT = {'0', '65536', '-1'},
            LYCOSA_RETENTION_DAYS = {'-1', '36501'}, LYCOSA_REQUEST_COLD_DAYS = {'-1', '36501', 'ten'},
            LYCOSA_WAL_MODE = {'none', 'Write'},
        }) do
            for _, value in ipairs(values) do
                assert.is_truthy(problem{[name] = value}:find('^settings: ' .. name .. ' must be '), name .. ' ' .. value)
            end
        end
        assert.is_truthy(problem{LYCOSA_DATA = '/dev/null/data'}:find('LYCOSA_DATA', 1, true))
    end)

    it('make a password once, for its owner only', function()
        local made = read().password
        assert.is_truthy(made:match('^' .. ('%x'):rep(48) .. '$'))
        assert.are.equal(made, read().password)
        local mode = fio.stat(fio.pathjoin(directory, 'password')).mode
        assert.are.equal(tonumber('600', 8), mode % 512)
        assert.are.equal('given', read{LYCOSA_PASSWORD = 'given'}.password)
    end)

    it('say so when a password can be neither found nor made', function()
        fio.rmtree(directory)
        fio.mktree(directory)
        -- A link to nowhere can be neither read nor made anew.
        fio.symlink('/nowhere/password', fio.pathjoin(directory, 'password'))
        assert.is_truthy(problem():find('LYCOSA_PASSWORD', 1, true))
    end)
end)
