"""Customers on the wire."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lycosa.schemas.shape import SINCE, Answer, Scalar


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
    since: float = Field(description="When the relation began. " + SINCE, examples=[1_577_836_800])
    created_at: float = Field(description=SINCE, examples=[1_763_700_000.5])
    updated_at: float = Field(description=SINCE, examples=[1_763_700_000.5])
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
    updated_at: float = Field(description=SINCE, examples=[1_763_700_000.5])


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
    since: float | None = Field(None, ge=0, description=SINCE)
    profile: dict[str, Scalar] | None = Field(None, max_length=32, description="Replaces the profile; 8 KiB.")
    version: int | None = Field(
        None, ge=0, description="The version that must be stored, 0 for none; else the outcome is conflict."
    )


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
