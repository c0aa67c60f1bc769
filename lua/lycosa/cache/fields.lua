-- Fields of the cache's spaces by number.

return {
    -- cache_entry, cache_volatile
    TENANT = 1, BUCKET = 2, KEY = 3, VALUE = 4, MEDIA_TYPE = 5, CREATED = 6, EXPIRES = 7, STALE = 8, NEGATIVE = 9,
    TAGS = 10, SEQ = 11, AGE = 12, DUE = 13, LABELS = 14,
    -- cache_total, cache_volatile_total
    T_ENTRIES = 3, T_BYTES = 4, T_NUMBER = 5,
}
