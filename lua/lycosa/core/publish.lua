-- What the outside may call: functions and grants in the database, reconciled with the declarations at every start.
-- Functions are setuid, so a caller needs the right to execute them and no right on any space.

local publish = {}

local PREFIX = 'lycosa.'
local ROLES = {'read', 'app', 'worker', 'admin'}
local EXECUTE = 4

local function role_name(access)
    return 'lycosa_' .. access
end

-- Each role holds the one before it: who may write may read.
local function ensure_roles()
    for i, access in ipairs(ROLES) do
        box.schema.role.create(role_name(access), {if_not_exists = true})
        if i > 1 then
            box.schema.role.grant(role_name(access), role_name(ROLES[i - 1]), nil, nil, {if_not_exists = true})
        end
    end
end

-- name -> id of the published functions as they are in the database.
local function published()
    local found = {}
    for _, func in box.space._func:pairs() do
        local name = func.name
        if name:sub(1, #PREFIX) == PREFIX then
            found[name] = func.id
        end
    end
    return found
end

-- Which of our roles may execute a function now.
local function granted(func_id)
    local found = {}
    for _, access in ipairs(ROLES) do
        local role = box.space._user.index.name:get(role_name(access))
        local privilege = role and box.space._priv:get{role.id, 'function', func_id}
        found[access] = privilege ~= nil and bit.band(privilege.privilege, EXECUTE) ~= 0
    end
    return found
end

---Create, grant, revoke and drop until the database equals the declarations.
---@param wanted table<string, string> procedure name -> access
---@return {created: integer, dropped: integer, granted: integer, revoked: integer}
function publish.reconcile(wanted)
    local done = {created = 0, dropped = 0, granted = 0, revoked = 0}
    ensure_roles()
    local present = published()
    for name in pairs(present) do
        if wanted[name:sub(#PREFIX + 1)] == nil then
            box.schema.func.drop(name)
            done.dropped = done.dropped + 1
        end
    end
    for short, access in pairs(wanted) do
        local name = PREFIX .. short
        if present[name] == nil then
            box.schema.func.create(name, {setuid = true, if_not_exists = true})
            done.created = done.created + 1
        end
        local id = box.space._func.index.name:get(name).id
        for role, has in pairs(granted(id)) do
            if role == access and not has then
                box.schema.role.grant(role_name(role), 'execute', 'function', name)
                done.granted = done.granted + 1
            elseif role ~= access and has then
                box.schema.role.revoke(role_name(role), 'execute', 'function', name)
                done.revoked = done.revoked + 1
            end
        end
    end
    return done
end

---The application's user: it holds one role and nothing else. Guest loses its right to a session.
---@param user string
---@param password string
---@param access string role it holds
function publish.user(user, password, access)
    box.schema.user.create(user, {if_not_exists = true})
    local stored = box.space._user.index.name:get(user).auth
    local hashed = stored and stored['chap-sha1']
    if hashed ~= box.schema.user.password(password) then
        box.schema.user.passwd(user, password)
    end
    box.schema.user.grant(user, role_name(access), nil, nil, {if_not_exists = true})
    for _, privilege in ipairs({'session', 'usage'}) do
        box.schema.user.revoke('guest', privilege, 'universe', nil, {if_exists = true})
    end
end

return publish
