local T = require('lycosa.core.types')
local access = require('lycosa.access')
local cursor = require('lycosa.core.cursor')

local PROOF = T.text{min = 64, max = 64}
local SCOPE = T.enum{'read', 'write', 'spend', 'admin'}
local SCOPES = T.list(SCOPE, {min = 1, max = 4})

local ACCESS_KEY = T.record('AccessKey', {
    {'id', T.name, doc = 'the part of the key that may be shown'},
    {'name', T.name}, {'scopes', SCOPES}, {'created_at', T.time},
    {'created_by', T.nullable(T.name), doc = 'key that made it; null on the machine itself'},
    {'expires_at', T.nullable(T.time)}, {'revoked_at', T.nullable(T.time)},
    {'last_used_at', T.nullable(T.time), doc = 'written down once a minute'},
}, {form = 'array'})

local TENANT = {'tenant', T.name, doc = 'whose key it is'}

return {
    {
        name = 'access.create', access = 'app', mode = 'write', idempotent = true,
        doc = 'Make an API key. Its secret stays with who made it: here comes its proof, the SHA-256 of the secret. The '
            .. 'same call repeated answers the key that is there.',
        args = {
            TENANT, {'id', T.name, doc = 'by chance; the part of the key that may be shown'},
            {'proof', PROOF, doc = 'SHA-256 of the secret, in hexadecimal'},
            {'name', T.name, doc = 'its purpose'}, {'scopes', SCOPES, doc = 'what it may'},
            {'expires_at', T.time, optional = true, doc = 'unix seconds; never when absent'},
            {'created_by', T.name, optional = true, doc = 'key of who asks for it'},
        },
        returns = ACCESS_KEY, errors = {'INVALID_ARGUMENT', 'ACCESS_KEY_EXISTS', 'ACCESS_KEYS_FULL', 'MEMORY_FULL'},
        run = access.create,
    },
    {
        name = 'access.list', access = 'read', mode = 'read',
        doc = 'A page of the API keys of a tenant, the newest first. Those that ended are listed for 90 days.',
        args = {
            TENANT, {'cursor', cursor.TYPE, optional = true}, {'limit', T.integer{min = 1, max = 100}, default = 20},
        },
        returns = T.record('AccessKeyPage', {
            {'rows', T.list(ACCESS_KEY, {max = 100})}, {'next', T.nullable(cursor.TYPE)},
            {'previous', T.nullable(cursor.TYPE)},
        }),
        errors = {'INVALID_CURSOR'}, run = access.list,
    },
    {
        name = 'access.revoke', access = 'app', mode = 'write', idempotent = true,
        doc = 'End an API key at once. One that was revoked before stays as it was.',
        args = {TENANT, {'id', T.name}}, returns = ACCESS_KEY, errors = {'ACCESS_KEY_NOT_FOUND'}, run = access.revoke,
    },
    {
        name = 'access.authenticate', access = 'app', mode = 'read',
        doc = 'Whose an API key is and what it may. That it was revoked or has expired is told only to who has its secret.',
        args = {{'id', T.name}, {'proof', PROOF, doc = 'SHA-256 of the secret, in hexadecimal'}},
        returns = T.record('AccessGranted', {
            {'tenant', T.name}, {'scopes', SCOPES}, {'expires_at', T.nullable(T.time)},
        }),
        errors = {'ACCESS_KEY_REFUSED'}, run = access.authenticate,
    },
}
