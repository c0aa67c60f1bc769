"""The history on the wire."""

from typing import Literal

from pydantic import Field

from lycosa.schemas.shape import SINCE, Answer


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
    created_at: float = Field(description=SINCE)
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
    created_at: float = Field(description=SINCE)
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
