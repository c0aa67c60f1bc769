-- Fields of the spaces of checkpoints by number.

return {
    -- in all of them; a thread has its generation elsewhere
    TENANT = 1, BUCKET = 2, GENERATION = 3,

    thread = {THREAD = 3, GENERATION = 4, REVISION = 5, UPDATED = 6, TTL = 7, EXPIRES = 8},
    gone = {DUE = 4},
    state = {
        NAMESPACE = 4, ID = 5, PARENT = 6, TYPE = 7, VALUE = 8, PARTS = 9, METADATA_TYPE = 10, METADATA = 11,
        METADATA_PARTS = 12, RUN = 13, FACTS = 14, BLOBS = 15, DELTAS = 16, CREATED = 17,
    },
    blob = {NAME = 5, VALUE = 7, PARTS = 8},
    write = {NAMESPACE = 4, ID = 5, TASK = 6, POSITION = 7, VALUE = 11, PARTS = 12},
    part = {NAME = 4, NUMBER = 5, VALUE = 6},

    -- Spaces whose rows belong to a generation, and the fields that make up their primary keys.
    KEYS = {
        {'checkpoint_state', {1, 3, 4, 5}},
        {'checkpoint_write', {1, 3, 4, 5, 6, 7}},
        {'checkpoint_blob', {1, 3, 4, 5}},
        {'checkpoint_part', {1, 3, 4, 5}},
    },
}
