-- Settings of the server, read from the environment once. The Python side reads the same names.

local fio = require('fio')

local settings = {}

local DEFAULTS = {
    LYCOSA_DATA = './var',
    TARANTOOL_HOST = '127.0.0.1',
    TARANTOOL_PORT = '3301',
    TARANTOOL_USER = 'lycosa',
    LYCOSA_MEMORY_MB = '256',
    LYCOSA_WAL_MODE = 'write',
    LYCOSA_RETENTION_DAYS = '0',
    LYCOSA_REQUEST_COLD_DAYS = '0',
    LYCOSA_CACHE_SHARE_PERCENT = '50',
}

local MEBIBYTE = 1048576

-- Room for the largest batch of values and for what a walk lets go at a time.
local LEAST_CACHE_MB = 8
-- Percent of the memory.
local CACHE_PERCENT, MOST_CACHE_PERCENT = 25, 75

-- Far above the default 768: parked waiters of one connection must not stop all others.
local NET_MSG_MAX = 20000

-- Rows live in slabs of one size each, and a size that was used once keeps a slab for ever. The finer the steps between the
-- sizes, the less a row wastes and the more slabs stand empty: with the engine's own steps of 5 % a store of 64 MiB was full
-- of empty ones at 4 % of its memory in rows, with steps of 50 % at 56 %. The larger the memory, the finer the steps.
local SIZE_STEPS = {
    {below = 128 * MEBIBYTE, factor = 1.5}, {below = 256 * MEBIBYTE, factor = 1.2}, {below = 1024 * MEBIBYTE, factor = 1.1},
}
local FINEST_STEP = 1.05

-- A snapshot is written when the log since the last one has grown to this share of the memory: replaying it then takes
-- about as long as loading a full snapshot (3 MB/s of log against 100 MB/s of memory). Not below 8 MiB, or a small store
-- that is written fast would do nothing but write snapshots.
local LOG_SHARE = 32
local LOG_LEAST = 8 * MEBIBYTE

-- What the engine of the cold history may take besides the memory of the store: for rows not yet on disk, and for rows
-- read from it.
local VINYL_MEMORY = 64 * MEBIBYTE
local VINYL_CACHE = 16 * MEBIBYTE

local function fail(message)
    error('settings: ' .. message, 0)
end

local function whole(environment, name, min, max)
    local value = tonumber(environment[name])
    if value == nil or value % 1 ~= 0 or value < min or value > max then
        fail(('%s must be a whole number from %d to %d, not %q'):format(name, min, max, environment[name]))
    end
    return value
end

-- Bytes that the cache may hold: a share of the memory unless told, and never so much that the marks are in the way.
local function cache_budget(environment, memory)
    local least = LEAST_CACHE_MB * MEBIBYTE
    if environment.LYCOSA_CACHE_BUDGET_MB == nil then
        return math.max(least, math.floor(memory * CACHE_PERCENT / 100))
    end
    local most = math.max(LEAST_CACHE_MB, math.floor(memory / MEBIBYTE * MOST_CACHE_PERCENT / 100))
    return whole(environment, 'LYCOSA_CACHE_BUDGET_MB', LEAST_CACHE_MB, most) * MEBIBYTE
end

local function size_step(memory)
    for _, step in ipairs(SIZE_STEPS) do
        if memory < step.below then
            return step.factor
        end
    end
    return FINEST_STEP
end

-- Names between commas.
local function names(environment, name)
    local found = {}
    for word in (environment[name] or ''):gmatch('[^,]+') do
        local trimmed = word:match('^%s*(.-)%s*$')
        if trimmed == '' or trimmed:find(':', 1, true) then
            fail(('%s must be namespaces (what stands before the first colon of a key) between commas, not %q'):format(
                name, environment[name]))
        end
        table.insert(found, trimmed)
    end
    return found
end

-- The application user's password: given, or made once and kept beside the data, readable by its owner only.
local function password(environment, data)
    if environment.LYCOSA_PASSWORD and environment.LYCOSA_PASSWORD ~= '' then
        return environment.LYCOSA_PASSWORD
    end
    local path = fio.pathjoin(data, 'password')
    local file = fio.open(path, {'O_RDONLY'})
    if file ~= nil then
        local kept = file:read(1024):gsub('%s+$', '')
        file:close()
        return kept
    end
    local made = require('digest').urandom(24):hex()
    file = fio.open(path, {'O_WRONLY', 'O_CREAT', 'O_EXCL'}, tonumber('600', 8))
    if file == nil then
        fail(('cannot write %s; make the data directory writable or set LYCOSA_PASSWORD'):format(path))
    end
    file:write(made .. '\n')
    file:close()
    return made
end

---Read the environment.
---@param given table<string, string> as os.environ() gives it
---@return {data: string, listen: string, user: string, password: string, retention_days: integer,
---     request_cold_days: integer, cache_budget: integer, cache_share: integer, cache_volatile: string[],
---     testing: boolean, console: string, box: table} `box` goes to box.cfg as it is;
--- `listen` is set once the procedures are in place
function settings.read(given)
    -- An empty variable is an absent one, as in a .env file.
    local environment = setmetatable({}, {__index = function(_, name)
        local value = given[name]
        return value ~= nil and value ~= '' and value or DEFAULTS[name]
    end})
    local data = fio.abspath(environment.LYCOSA_DATA)
    if not fio.path.is_dir(data) and not fio.mktree(data) then
        fail(('cannot make the data directory %s; set LYCOSA_DATA to a writable place'):format(data))
    end
    local wal_mode = environment.LYCOSA_WAL_MODE
    if wal_mode ~= 'write' and wal_mode ~= 'fsync' then
        fail(('LYCOSA_WAL_MODE must be write (safe against a kill) or fsync (against power loss), not %q'):format(wal_mode))
    end
    local memory = whole(environment, 'LYCOSA_MEMORY_MB', 32, 1048576) * MEBIBYTE
    local host, listen = environment.TARANTOOL_HOST
    if host:sub(1, 1) == '/' then
        listen = 'unix/:' .. host
    else
        listen = ('%s:%d'):format(host, whole(environment, 'TARANTOOL_PORT', 1, 65535))
    end
    return {
        data = data,
        listen = listen,
        user = environment.TARANTOOL_USER,
        password = password(environment, data),
        retention_days = whole(environment, 'LYCOSA_RETENTION_DAYS', 0, 36500),
        cache_budget = cache_budget(environment, memory),
        cache_share = whole(environment, 'LYCOSA_CACHE_SHARE_PERCENT', 1, 100),
        cache_volatile = names(environment, 'LYCOSA_CACHE_VOLATILE'),
        request_cold_days = whole(environment, 'LYCOSA_REQUEST_COLD_DAYS', 0, 36500),
        testing = environment.LYCOSA_TESTING == '1',
        console = fio.pathjoin(data, 'console.sock'),
        box = {
            work_dir = data,
            memtx_memory = memory,
            memtx_max_tuple_size = 2 * MEBIBYTE,
            slab_alloc_factor = size_step(memory),
            vinyl_memory = VINYL_MEMORY,
            vinyl_cache = VINYL_CACHE,
            wal_mode = wal_mode,
            checkpoint_wal_threshold = math.max(LOG_LEAST, math.floor(memory / LOG_SHARE)),
            net_msg_max = NET_MSG_MAX,
            readahead = 256 * 1024,
            feedback_enabled = false,
            log_level = 5,
        },
    }
end

return settings
