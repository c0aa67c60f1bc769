-- Numbers of the fields of the document spaces, as lycosa.schema creates them.

return {
    document = {
        TENANT = 1, BUCKET = 2, ID = 3, TITLE = 4, SOURCE = 5, LANGUAGE = 6, KIND = 7, CUSTOMER = 8, CREATED = 9,
        STORED = 10, BYTES = 11, FIRST = 12, CHUNKS = 13, HASH = 14,
    },
    chunk = {TENANT = 1, CHUNK = 3, TEXT = 4},
    corpus = {
        BUCKET = 2, DOCUMENTS = 3, WAITING = 4, NEXT = 5, INDEXED = 6, CHUNKS = 7, WORDS = 8, TERMS = 9, POSTINGS = 10,
    },
    waiting = {TENANT = 1, BUCKET = 2, FIRST = 3, NEXT = 4, UNTIL = 5, SINCE = 6},
    removal = {TENANT = 1, FIRST = 3, NEXT = 4, INDEXED = 5, UNTIL = 6, TITLE = 8},
    term = {FREQUENCY = 4, BASE = 5, MOST = 6, SHORTEST = 7, POSTINGS = 8},
    posting = {TENANT = 1, TERM = 3, BASE = 4, MOST = 5, SHORTEST = 6, POSTINGS = 7},
    norm = {BUCKET = 2, NORMS = 4},
}
