-- Numbers of the fields of requests and of their sources. A request on disk has the same ones, its sources behind them;
-- a summary on disk has the size of the answer in the answer's place.

return {
    TENANT = 1, BUCKET = 2, ID = 3, CUSTOMER = 4, KIND = 5, STATUS = 6, QUESTION = 7, ANSWER = 8, MODEL = 9, COST = 10,
    TOKENS_IN = 11, TOKENS_OUT = 12, CACHED = 13, DURATION = 14, CREATED = 15, ERROR = 16, SOURCES = 17,

    source = {POSITION = 4, KIND = 5, REF = 6, TITLE = 7, QUOTE = 8},
}
