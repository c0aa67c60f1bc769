"""What an analysis answers: the report and the events that stream before it.

Every model serialises to JSON (`model_dump_json`). Events are told apart by their field `event`:
`step`, `source`, `fact`, `token` in any number, then exactly one `report`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Event",
    "Fact",
    "FactEvent",
    "Finding",
    "Language",
    "Mode",
    "PastRequest",
    "Report",
    "ReportEvent",
    "Source",
    "SourceEvent",
    "StepEvent",
    "Timings",
    "TokenEvent",
    "Tokens",
]

Language = Literal["en", "ru"]
# How much is asked: stored texts only; one search of the web; several, each of them thorough.
Mode = Literal["quick", "standard", "deep"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Model):
    """One text the analysis rests on, as it was read at that moment."""

    id: str = Field(description="reference inside this report, such as S1", examples=["S1"])
    kind: Literal["record", "segment", "history", "document", "web"]
    ref: str = Field(description="id of the customer, segment, request or document; of the web the address")
    title: str
    text: str = Field(description="the passage itself, cleaned and bounded; quotes are found in it")
    url: str | None = Field(default=None, description="where the document says it comes from")
    language: str | None = None
    chunk: int | None = Field(default=None, description="number of the passage inside its document")
    score: float | None = Field(default=None, description="BM25 score; none when it was not found by search")


class Fact(_Model):
    """A statement whose quoted passage was found in its source."""

    statement: str
    quote: str
    source: str = Field(description="id of the source in this report")


class Finding(_Model):
    """A risk, an opportunity or an open question, with the place it rests on where there is one."""

    statement: str
    source: str | None = None
    quote: str | None = None


class PastRequest(_Model):
    """A question asked about this customer before."""

    id: str
    kind: str
    status: str
    question: str
    created_at: datetime


class Tokens(_Model):
    """Tokens of the one model call of this answer; zero when it came from the cache or no model was asked."""

    input: int = Field(default=0, ge=0)
    output: int = Field(default=0, ge=0)
    counted: Literal["provider", "estimate", "none"] = Field(
        default="none", description="by the provider, estimated from the characters, or nothing to count"
    )


class Timings(_Model):
    """Milliseconds of this answer. None: the step did not happen."""

    gather_ms: float
    first_token_ms: float | None = Field(default=None, description="from the request to the first prose")
    model_ms: float | None = None
    total_ms: float


class Report(_Model):
    """The analysis of one customer."""

    request_id: str
    customer_id: str
    customer_name: str
    question: str | None
    mode: Mode = "standard"
    language: Language
    summary: str
    facts: list[Fact]
    risks: list[Finding]
    opportunities: list[Finding]
    open_questions: list[Finding]
    sources: list[Source]
    past_requests: list[PastRequest] = Field(description="always as of this answer, also when it is cached")
    writer: Literal["model", "offline", "extractive"]
    model: str = Field(description="which model wrote the summary, or `extractive`")
    tokens: Tokens
    web_cost_microusd: int = Field(
        default=0, ge=0, description="what searching the web cost this answer, in millionths of a US dollar"
    )
    timings: Timings
    cached: bool
    degraded: list[str] = Field(description="what this answer had to do without, and why")
    dropped_facts: int = Field(default=0, description="facts left out: their quote was not in the source")
    dropped_sentences: int = Field(
        default=0, description="sentences of a weak model not borne out by sources"
    )
    prompt_version: str
    key: str = Field(description="SHA-256 over everything the answer depends on; the cache's key")
    created_at: datetime = Field(description="when the report was written (of a cached one: the first time)")


class StepEvent(_Model):
    """One step of the work has ended."""

    event: Literal["step"] = "step"
    name: str = Field(examples=["documents"])
    detail: str
    elapsed_ms: float = Field(description="milliseconds since the request began")


class SourceEvent(_Model):
    """A source has been chosen."""

    event: Literal["source"] = "source"
    source: Source


class FactEvent(_Model):
    """A fact has been verified."""

    event: Literal["fact"] = "fact"
    fact: Fact


class TokenEvent(_Model):
    """The next piece of the summary."""

    event: Literal["token"] = "token"
    text: str


class ReportEvent(_Model):
    """The whole report; the last event."""

    event: Literal["report"] = "report"
    report: Report


Event = Annotated[
    StepEvent | SourceEvent | FactEvent | TokenEvent | ReportEvent, Field(discriminator="event")
]
