"""What REST answers and takes, as pydantic models: the shape of the wire and its documentation."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

Scalar = str | int | float | bool

_SINCE = "Unix seconds."


class Answer(BaseModel):
    """Built from the store's records by their attributes, checked on the way out."""

    model_config = ConfigDict(from_attributes=True, extra="forbid", strict=True)


class Asked(BaseModel):
    """A body. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", str_max_length=1_000_000)


class CustomerOut(Answer):
    """A stored customer."""

    id: str = Field(examples=["S-001"])
    version: int = Field(description="1 at insert, one more with every change.", examples=[1])
    external_id: str | None = Field(examples=["S-001"])
    name: str = Field(examples=["ООО Ромашка"])
    email: str | None = Field(examples=["account-1@example.com"])
    segment: str = Field(description="Empty when the customer is in none.", examples=["smb"])
    tags: list[str] = Field(examples=[["priority", "retail"]])
    country: str | None = Field(examples=["RU"])
    industry: str | None = Field(examples=["Retail"])
    revenue_cents: int = Field(description="Bought in total, in cents.", examples=[125_000])
    orders: int = Field(examples=[7])
    since: float = Field(description="When the relation began. " + _SINCE, examples=[1_577_836_800])
    created_at: float = Field(description=_SINCE, examples=[1_763_700_000.5])
    updated_at: float = Field(description=_SINCE, examples=[1_763_700_000.5])
    profile: dict[str, Scalar] = Field(examples=[{"website": "https://example.com"}])


class CustomerPageOut(Answer):
    """A page of customers with cursors both ways; null at the ends."""

    rows: list[CustomerOut]
    next: str | None = Field(description="Cursor of the page that follows.")
    previous: str | None = Field(description="Cursor of the page before.")


class SegmentOut(Answer):
    """Figures of one segment, kept by every write."""

    segment: str = Field(description="Empty for the customers in none.", examples=["enterprise"])
    customers: int = Field(examples=[12])
    revenue_cents: int = Field(examples=[98_000_000])
    orders: int = Field(examples=[340])
    updated_at: float = Field(description=_SINCE, examples=[1_763_700_000.5])


class SegmentPageOut(Answer):
    """A page of segments by name."""

    rows: list[SegmentOut]
    next: str | None
    previous: str | None


class CustomerRow(BaseModel):
    """One row of an upsert: a patch. An absent field keeps what is stored, null clears it.

    The store judges each row by itself and answers an outcome for it, so a wrong row stops no other.
    """

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(None, min_length=1, description="At most 128 bytes; external_id when absent.")
    external_id: str | None = Field(None, description="At most 128 bytes, unique within the tenant.")
    name: str | None = Field(None, description="At most 512 bytes; needed for an insert.")
    email: str | None = None
    segment: str | None = None
    tags: list[str] | None = Field(None, max_length=32, description="Replaces all tags.")
    country: str | None = None
    industry: str | None = None
    revenue_cents: int | None = Field(None, ge=0, le=9_000_000_000_000)
    orders: int | None = Field(None, ge=0, le=1_000_000_000)
    since: float | None = Field(None, ge=0, description=_SINCE)
    profile: dict[str, Scalar] | None = Field(None, max_length=32, description="Replaces the profile; 8 KiB.")
    version: int | None = Field(
        None, ge=0, description="The version that must be stored, 0 for none; else the outcome is conflict."
    )


def _documented(model: type[BaseModel]) -> WithJsonSchema:
    return WithJsonSchema(model.model_json_schema(ref_template="#/components/schemas/{model}"))


class CustomerBatch(Asked):
    """Up to 1,000 customers for one transaction."""

    rows: Annotated[
        list[Annotated[Any, _documented(CustomerRow)]],
        Field(
            max_length=1000,
            examples=[[{"external_id": "S-001", "name": "ООО Ромашка", "segment": "smb", "orders": 7}]],
        ),
    ]


class UpsertOutcomeOut(Answer):
    """What became of one row."""

    outcome: Literal["inserted", "updated", "unchanged", "invalid", "conflict"]
    id: str | None = Field(examples=["S-001"])
    version: int | None = Field(
        examples=[1], description="The stored version, with conflict too; 0 for none stored."
    )
    field: str | None = Field(examples=[None], description="Which field is wrong.")
    problem: str | None = Field(examples=[None], description="What is wrong with it.")


class UpsertAnswer(Answer):
    """Outcomes in the order of the rows."""

    outcomes: list[UpsertOutcomeOut]


class DocumentRow(BaseModel):
    """One document. The store judges each by itself and answers an outcome for it."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1, description="At most 128 bytes; a stored document of this id is replaced.")
    title: str | None = Field(None, description="At most 512 bytes; searched with every passage.")
    text: str = Field(description="At most 256 KiB.")
    source: str | None = Field(None, description="Where it comes from: a URL or the name of a file.")
    language: Literal["en", "ru"] | None = Field(None, description="Detected when absent.")
    kind: str | None = Field(None, description="note when absent.")
    customer_id: str | None = Field(None, description="Whom it is about; nobody in particular when absent.")
    created_at: float | None = Field(None, description=_SINCE)


class DocumentBatch(Asked):
    """Up to 100 documents and 512 KiB of text for one transaction."""

    documents: Annotated[
        list[Annotated[Any, _documented(DocumentRow)]],
        Field(
            max_length=100,
            examples=[
                [{"id": "n-1", "title": "Call", "text": "Wants to renew in May.", "customer_id": "S-001"}]
            ],
        ),
    ]


class DocumentOutcomeOut(Answer):
    """What became of one document."""

    id: str | None
    outcome: Literal["inserted", "replaced", "unchanged", "invalid"]
    field: str | None = Field(description="Which field is wrong.")
    problem: str | None = Field(description="What is wrong with it.")


class PutAnswer(Answer):
    """Outcomes in the order of the documents."""

    outcomes: list[DocumentOutcomeOut]


class DocumentOut(Answer):
    """A stored document without its text."""

    id: str = Field(examples=["n-1"])
    title: str
    source: str | None
    language: Literal["en", "ru"]
    kind: str = Field(examples=["note"])
    customer_id: str | None
    created_at: float = Field(description=_SINCE)
    stored_at: float = Field(description=_SINCE)
    bytes: int = Field(description="Of its text.")
    chunks: int = Field(description="Passages it was cut into.")


class DocumentTextOut(Answer):
    """A stored document with its text."""

    document: DocumentOut
    text: str


class DocumentPageOut(Answer):
    """A page of documents by id."""

    rows: list[DocumentOut]
    next: str | None
    previous: str | None


class HitOut(Answer):
    """The best passage of one document."""

    id: str = Field(examples=["n-1"])
    title: str = Field(examples=["Call"])
    source: str | None
    kind: str
    customer_id: str | None
    language: Literal["en", "ru"]
    created_at: float = Field(description=_SINCE)
    chunk: int = Field(description="Place of the passage within the document.")
    score: float = Field(description="BM25; comparable within one answer only.")
    text: str = Field(examples=["Wants to renew in May."])


class SearchOut(Answer):
    """The best hits, the best first."""

    hits: list[HitOut]
    examined: int = Field(description="Postings looked at.")
    bounded: bool = Field(
        description="Whether the bound on work was reached: these are the best seen until then."
    )
    waiting: int = Field(description="Documents stored but not yet indexed.")
    waiting_seconds: float = Field(description="How long the oldest of them has waited.")


class AnalysisAsked(Asked):
    """Whom to analyse, and what to look at."""

    customer_id: str = Field(min_length=1, max_length=128, examples=["S-001"])
    question: str | None = Field(
        None, min_length=1, max_length=4096, examples=["What could make them leave?"]
    )
    language: Literal["en", "ru"] | None = Field(
        None, description="Of the report; the question's when absent."
    )
    fresh: bool = Field(False, description="Ask the model even if the same analysis is in the cache.")
    mode: Literal["quick", "standard", "deep"] = Field(
        "standard", description="Stored texts only; one search of the web; several, each of them thorough."
    )
    goes_on: bool = Field(
        False, description="Write it to its end when the client hangs up; its events can be read on."
    )


class RequestSummaryOut(Answer):
    """One question of the history, without its answer."""

    id: str = Field(examples=["2f1c9a34"])
    customer_id: str | None = Field(examples=["S-001"])
    kind: str = Field(examples=["analysis"])
    status: Literal["done", "degraded", "failed", "cancelled"]
    question: str = Field(examples=["What could make them leave?"])
    model: str | None = Field(examples=["extractive"])
    cost_microusd: int = Field(description="Millionths of a US dollar.")
    tokens_in: int = Field(examples=[812])
    tokens_out: int = Field(examples=[120])
    cached: bool
    duration_ms: int = Field(examples=[1430])
    created_at: float = Field(description=_SINCE)
    error: str | None
    answer_bytes: int = Field(examples=[9214])


class RequestPageOut(Answer):
    """A page of the history."""

    rows: list[RequestSummaryOut]
    next: str | None
    previous: str | None


class RequestSourceOut(Answer):
    """What an answer rests on."""

    position: int = Field(examples=[1])
    kind: Literal["document", "record", "history", "web"]
    ref: str = Field(examples=["n-1"])
    title: str
    quote: str = Field(examples=["Wants to renew in May."])


class RequestOut(Answer):
    """One question with its answer."""

    id: str = Field(examples=["2f1c9a34"])
    customer_id: str | None = Field(examples=["S-001"])
    kind: str
    status: Literal["done", "degraded", "failed", "cancelled"]
    question: str = Field(examples=["What could make them leave?"])
    answer: str | None
    model: str | None = Field(examples=["extractive"])
    cost_microusd: int
    tokens_in: int = Field(examples=[812])
    tokens_out: int = Field(examples=[120])
    cached: bool
    duration_ms: int = Field(examples=[1430])
    created_at: float = Field(description=_SINCE)
    error: str | None


class RequestWithSourcesOut(Answer):
    """One question with its answer and its sources in their order."""

    request: RequestOut
    sources: list[RequestSourceOut]


class TotalsOut(Answer):
    """Exact sums."""

    requests: int = Field(examples=[42])
    cached: int
    failed: int
    cost_microusd: int = Field(description="Millionths of a US dollar.")
    tokens_in: int = Field(examples=[812])
    tokens_out: int = Field(examples=[120])


class RowOutcomeOut(BaseModel):
    """One line of an import's answer. The last line is an ImportSummaryOut, or a Problem when it broke off."""

    row: int = Field(description="Counted from 1, without the header.")
    line: int = Field(description="The line of the file on which the row begins.")
    outcome: Literal["inserted", "updated", "replaced", "unchanged", "invalid", "conflict"]
    id: str | None
    version: int | None
    field: str | None
    problem: str | None


class ImportSummaryOut(BaseModel):
    """The last line of an import's answer."""

    summary: Literal[True] = True
    rows: int
    outcomes: dict[str, int]
    seconds: float


class LiveOut(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str = Field(examples=["0.1.0"])


class ReadyOut(Answer):
    """The store answers."""

    status: str = Field(examples=["running"])
    writable: bool
    uptime: float = Field(description="Of the store, seconds.")
    schema_version: int = Field(alias="schema", examples=[4])
    tarantool: str
