-- Fields by number of `session` (S), `session_message` (M) and `session_gone` (G).

return {
    S = {
        TENANT = 1, ID = 3, GENERATION = 4, AGENT = 5, METADATA = 6, CREATED = 7, ACTIVE = 8, IDLE = 9, ENDS = 10,
        MESSAGES = 11, BYTES = 12, TOKENS = 13,
    },
    M = {
        TENANT = 1, SESSION = 3, GENERATION = 4, NUMBER = 5, ID = 6, ROLE = 7, CONTENT = 8, BODY = 9, TOKENS = 10,
    },
    G = {TENANT = 1, SESSION = 3, GENERATION = 4},
}
