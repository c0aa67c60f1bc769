-- Fields by number, and names that several rooms use.

return {
    lease = {
        TENANT = 1, BUCKET = 2, KEY = 3, STATE = 4, TOKEN = 5, TICKET = 6, ENDS = 7, QUESTION = 8, CANDIDATES = 9,
        TRIED = 10, ATTEMPT = 11, PROVIDER = 12, RESERVATION = 13, REFRESH = 14, DENIAL = 15,
        -- Beyond the format of the space, and not there where the account is the tenant's own: a format cannot be widened in
        -- the transaction of a migration once there are rows.
        ACCOUNT = 16,
    },
    provider = {
        TENANT = 1, BUCKET = 2, PROVIDER = 3, ENABLED = 4, PLACE = 5, THRESHOLD = 6, WINDOW = 7, COOLDOWN = 8,
        BREAKER = 9, FAILURES = 10, SINCE = 11, OPENS_UNTIL = 12, PROBE = 13, PROBE_ENDS = 14, BLOCKED_UNTIL = 15,
        BLOCKED_BY = 16, LAST_ERROR = 17, LAST_ERROR_AT = 18, CALLS = 19, ERRORS = 20, UPDATED = 21,
    },
    MOST_CANDIDATES = 8,
}
