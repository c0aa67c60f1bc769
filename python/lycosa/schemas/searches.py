"""What was found outside, on the wire."""

from typing import Self

from pydantic import Field

from lycosa.providers.findings import Finding
from lycosa.schemas.shape import Answer
from lycosa.services.lookup_forms import LookupAnswer, Outcome


class FindingOut(Answer):
    """One result: data of strangers, cleaned and bounded."""

    url: str = Field(
        description="http(s), or document:<id> of the store's own.", examples=["https://example.com"]
    )
    title: str
    text: str
    score: float | None = Field(description="The provider's own, comparable within one answer only.")
    published: str | None

    @classmethod
    def of(cls, found: Finding) -> Self:
        """Of the provider's."""
        return cls(**found.model_dump())


class FoundOut(Answer):
    """What was found, and how it was come by."""

    results: list[FindingOut]
    answer: str | None = Field(description="In words, by a provider that writes one.")
    outcome: Outcome = Field(
        description="hit: from the cache; stale: an old answer; bought: by this call; shared: by another call that "
        "asked the same at the same time.",
        examples=["bought"],
    )
    provider: str = Field(description="Who answered.", examples=["tavily"])
    degraded: list[str] = Field(description="What the answer had to do without, and why.")
    cost_microusd: int = Field(description="Of this call, millionths of a US dollar.", examples=[8000])
    answered_at: float = Field(description="Unix seconds.")
    request_id: str = Field(description="Of its row in the history.")

    @classmethod
    def of(cls, found: LookupAnswer) -> Self:
        """Of the service's."""
        return cls(
            results=[FindingOut.of(one) for one in found.findings.results],
            answer=found.findings.answer,
            **found.model_dump(exclude={"findings"}),
        )
