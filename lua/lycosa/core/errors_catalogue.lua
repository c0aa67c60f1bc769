-- The catalogue of every error a procedure may raise: code -> kind and message.
-- `{name}` in a message is filled from the details given to errors.raise. Python classes and surface mappings
-- are generated from this table, so an error is declared here and nowhere else.

---@type table<string, {kind: string, message: string}>
return {
    -- contract: what the wrapper itself refuses, whatever the procedure
    INVALID_ARGUMENT = {kind = 'invalid', message = 'argument {argument} {problem}'},
    UNKNOWN_ARGUMENT = {kind = 'invalid', message = 'argument {argument} is not known to {procedure}'},
    INVALID_CURSOR = {kind = 'invalid', message = 'cursor {problem}; ask again without it'},
    DEADLINE_EXCEEDED = {
        kind = 'unavailable',
        message = 'the deadline of {procedure} passed {late} s before the server reached it; nothing was done',
    },
    IN_TRANSACTION = {
        kind = 'invalid', message = '{procedure} waits, and a transaction must not wait; end yours and ask again',
    },
    COMMIT_FAILED = {kind = 'unavailable', message = 'the transaction was not written: {problem}'},
    READ_ONLY = {kind = 'unavailable', message = 'this instance is read-only; send writes to the leader'},
    MEMORY_FULL = {
        kind = 'unavailable',
        message = 'memory is {used} % used, {space} accepts writes below {limit} %; raise LYCOSA_MEMORY_MB or delete rows',
    },

    -- access
    ACCESS_KEY_EXISTS = {kind = 'conflict', message = 'API key {id} was made before with other content'},
    ACCESS_KEY_NOT_FOUND = {kind = 'not_found', message = 'API key {id} does not exist'},
    ACCESS_KEY_REFUSED = {kind = 'denied', message = 'the API key {problem}'},
    ACCESS_KEYS_FULL = {kind = 'exhausted', message = 'a tenant has at most {limit} API keys; those that ended count for 90 days'},

    -- checkpoint
    CHECKPOINT_BUSY = {kind = 'unavailable', message = 'copying took longer than it was given; nothing was copied'},
    CHECKPOINT_CHANGED = {kind = 'conflict', message = 'thread {thread} was changed meanwhile; try again'},
    CHECKPOINT_EXISTS = {kind = 'conflict', message = 'thread {thread} exists already; delete it first'},

    -- customer
    CUSTOMER_NOT_FOUND = {kind = 'not_found', message = 'customer {id} does not exist'},
    SEGMENT_NOT_FOUND = {kind = 'not_found', message = 'no customer is in segment {segment}'},

    -- document
    DOCUMENT_NOT_FOUND = {kind = 'not_found', message = 'document {id} does not exist'},

    -- event
    EVENT_OUT_OF_ORDER = {
        kind = 'conflict', message = 'event {first} cannot follow {last} in stream {stream}, or the stream is not of this writer',
    },
    EVENT_STREAM_FULL = {kind = 'exhausted', message = 'stream {stream} holds {bytes} bytes, at most {limit} are kept'},
    EVENT_STREAM_NOT_FOUND = {kind = 'not_found', message = 'there are no events of {stream}: unknown, or kept no longer'},

    -- kv
    KV_CONFLICT = {kind = 'conflict', message = 'entry {key} has version {found}, not {expected}; read it again'},

    -- lookup
    LEASE_LOST = {kind = 'conflict', message = 'the lease of {key} has ended or is not of this token; nothing was changed'},
    LOOKUP_BUSY = {kind = 'unavailable', message = '{waiting} callers wait for answers already; ask again'},

    -- quota
    QUOTA_EXCEEDED = {kind = 'exhausted', message = 'quota {quota} has {left} of {limit} left, {amount} were asked for'},
    QUOTA_IN_USE = {kind = 'conflict', message = 'quota {quota} is held by open reservations; settle or refund them first'},
    QUOTA_KIND_FIXED = {
        kind = 'conflict',
        message = 'quota {quota} is of kind {kind} and scale {scale}, which cannot be changed; remove it first',
    },
    QUOTA_RESERVATION_EXISTS = {kind = 'conflict', message = 'reservation {id} was made before with other claims'},
    QUOTA_RESERVATION_NOT_FOUND = {kind = 'not_found', message = 'reservation {id} does not exist'},
    QUOTA_RESERVATION_STATE = {kind = 'conflict', message = 'reservation {id} is {state} {problem}'},
    QUOTA_UNKNOWN = {kind = 'not_found', message = 'quota {quota} is not defined'},

    -- request
    REQUEST_NOT_FOUND = {kind = 'not_found', message = 'request {id} does not exist'},
    REQUEST_EXISTS = {kind = 'conflict', message = 'request {id} was appended before with other content'},
    REQUEST_ON_DISK = {
        kind = 'invalid',
        message = 'requests on disk are waited for, and a transaction must not wait; end yours and ask again',
    },

    -- session
    SESSION_EXISTS = {kind = 'conflict', message = 'session {id} exists and is not as it was asked for'},
    SESSION_FULL = {kind = 'exhausted', message = 'session {id}: {problem}'},
    SESSION_MESSAGE_EXISTS = {kind = 'conflict', message = 'session {id}: {problem}'},
    SESSION_NOT_FOUND = {kind = 'not_found', message = 'session {id} does not exist'},

    -- schema
    SCHEMA_NEWER = {
        kind = 'conflict',
        message = 'the data directory has schema {found}, this code knows {known}; start a newer Lycosa on it',
    },
    SCHEMA_CHANGED = {
        kind = 'conflict',
        message = 'migration {id} was applied with another checksum; a migration that has run must not be edited',
    },
}
