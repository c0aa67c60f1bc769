"""Documents and what is found in them, on the wire."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lycosa.schemas.shape import SINCE, Answer


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
    created_at: float | None = Field(None, description=SINCE)


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
    created_at: float = Field(description=SINCE)
    stored_at: float = Field(description=SINCE)
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
    created_at: float = Field(description=SINCE)
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
