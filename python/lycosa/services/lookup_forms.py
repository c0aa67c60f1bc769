"""What goes into the gate of look-ups and what comes out: keys, candidates, kept answers, sources, documents."""

import hashlib
import json
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from lycosa.analysis.texts import clean, clip_bytes
from lycosa.errors import Exhausted, Internal, Invalid, LycosaError, TimedOut, Unavailable
from lycosa.identity import Identity
from lycosa.procedures import (
    CacheEntry,
    LookupAmount,
    LookupAnswered,
    LookupCandidate,
    LookupDecision,
    LookupRequest,
    LookupSkipped,
    LookupSourceInput,
)
from lycosa.providers.findings import Finding, Findings, Provider, SearchOptions

__all__ = [
    "SEARCH",
    "Kept",
    "LookupAnswer",
    "Outcome",
    "Search",
    "checked_question",
    "denied",
    "family",
    "late",
    "passed_over",
    "search_key",
]

# The kind of request that a search is.
SEARCH: Final = "search"
# What the gate knows the writing of reports by, beside the providers of searches.
MODEL: Final = "model"
# Bytes that the store takes.
_MAX_QUESTION: Final = 4_096
_MAX_ANSWER: Final = 262_144
_MAX_TITLE: Final = 512
_MAX_QUOTE: Final = 2_048
_MAX_REF: Final = 2_048
_MOST_SOURCES: Final = 64

Outcome = Literal["hit", "stale", "bought", "shared"]


class LookupAnswer(BaseModel):
    """What a search gives: the findings, and how they were come by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    findings: Findings
    outcome: Outcome = Field(
        description="hit: from the cache; stale: an old answer; bought: by this call; shared: by another call that "
        "asked the same at the same time."
    )
    provider: str = Field(description="Who answered, with the number of the key where there are several.")
    degraded: list[str] = Field(description="What the answer had to do without, and why.")
    cost_microusd: int = Field(description="What this call cost, in millionths of a US dollar.")
    answered_at: float = Field(description="When the provider answered, unix seconds.")
    request_id: str = Field(description="Of its row in the history.")


class Kept(BaseModel):
    """An answer as the cache keeps it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    paid: bool
    degraded: list[str]
    findings: Findings

    @classmethod
    def of(cls, entry: CacheEntry) -> "Kept":
        """Raises pydantic's ValidationError when the entry is of another version, or no answer at all."""
        return cls.model_validate_json(entry.value)


def checked_question(question: str) -> str:
    """The question without what cannot be seen. Raises Invalid when nothing is left, or more than 4,096 bytes."""
    cleaned = clean(question, _MAX_QUESTION, "line")
    if not cleaned:
        problem = "is empty"
    elif len(question.encode(errors="replace")) > _MAX_QUESTION:
        problem = f"is longer than {_MAX_QUESTION} bytes"
    else:
        return cleaned
    raise Invalid(
        f"argument question {problem}",
        code="INVALID_ARGUMENT",
        details={"argument": "question", "problem": problem},
    )


def search_key(question: str, options: SearchOptions, *, agents: bool = False) -> str:
    """Under which key the answer is kept: equal for questions that differ in case, white space or composition."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", question).casefold())
    fields = options.model_dump()
    for name in ("include_domains", "exclude_domains"):
        fields[name] = sorted({domain.casefold() for domain in fields[name]})
    form = {"question": " ".join(folded.split()), "options": fields}
    packed = json.dumps(form, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return f"{'answer' if agents else SEARCH}:{hashlib.sha256(packed.encode()).hexdigest()}"


def family(provider: str) -> str:
    """The provider without the number of its key: tavily of tavily#2."""
    return provider.partition("#")[0]


@dataclass(slots=True)
class Search:
    """One search under way. Times are of the monotonic clock."""

    identity: Identity
    # Whose the quotas and breakers of the providers are.
    account: Identity
    question: str
    options: SearchOptions
    key: str
    providers: Mapping[str, Provider]
    ends: float
    request_id: str
    # Unix seconds by the store's clock: an answer made since then is fresh, whatever `max_age` says.
    asked_at: float
    customer_id: str | None = None
    max_age: float | None = None
    # Whether an old answer does.
    takes_old: bool = True
    began: float = field(default_factory=time.monotonic)
    # Charged by providers that brought nothing.
    wasted_microusd: int = 0
    # Who failed, and what was said of it.
    failures: list[tuple[str, str]] = field(default_factory=list)
    # What the answer has to do without.
    degraded: list[str] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Seconds until the deadline, 0 beyond it."""
        return max(0.0, self.ends - time.monotonic())

    @property
    def elapsed_ms(self) -> int:
        """Since it began."""
        return round((time.monotonic() - self.began) * 1000)

    def is_old(self, created_at: float, now: float) -> bool:
        """Whether an answer is older than the caller wanted. `now` is of the store's clock."""
        return self.max_age is not None and now - created_at >= self.max_age and created_at < self.asked_at

    def candidates(self) -> list[LookupCandidate]:
        """Who can be asked, as the gate takes it."""
        return [
            LookupCandidate(
                provider=name, claims=provider.claims(self.options), cost=provider.cost(self.options)
            )
            for name, provider in self.providers.items()
        ]

    def is_paid(self, name: str) -> bool:
        """Whether a candidate costs anything. What costs nothing is of the store itself, and kept only for a moment."""
        provider = self.providers[name]
        return bool(provider.claims(self.options)) or provider.cost(self.options) > 0

    def asked(self) -> LookupRequest:
        """Its row in the history when it is served from the cache."""
        row = LookupRequest(id=self.request_id, kind=SEARCH)
        if self.customer_id is not None:
            row["customer_id"] = self.customer_id
        return row

    def answered(self, findings: Findings) -> LookupAnswered:
        """Its row in the history when it was bought."""
        row = LookupAnswered(
            id=self.request_id,
            kind=SEARCH,
            status="degraded" if self.degraded else "done",
            model=clip_bytes(findings.provider, 128),
            cost_microusd=findings.cost_microusd + self.wasted_microusd,
            tokens_in=findings.tokens_in,
            tokens_out=findings.tokens_out,
            duration_ms=self.elapsed_ms,
            sources=[_source(found) for found in findings.results[:_MOST_SOURCES]],
        )
        if findings.answer is not None:
            row["answer"] = clip_bytes(findings.answer, _MAX_ANSWER)
        if self.customer_id is not None:
            row["customer_id"] = self.customer_id
        return row

    def documents(self, findings: Findings) -> list[dict[str, object]]:
        """What was found, as documents: one for each address and customer, newer text in place of older."""
        return [
            {
                "id": f"web:{_short_hash(found.url, self.customer_id or '')}",
                "text": found.text,
                "title": clip_bytes(found.title, _MAX_TITLE),
                "source": clip_bytes(found.url, _MAX_REF),
                "kind": "web",
                **({} if self.customer_id is None else {"customer_id": self.customer_id}),
            }
            for found in {found.url: found for found in findings.results if found.text.strip()}.values()
        ]

    def amounts(self, name: str, true: Mapping[str, int]) -> list[LookupAmount]:
        """What was really taken of the quotas that were claimed."""
        claimed = {claim["quota"] for claim in self.providers[name].claims(self.options)}
        return [LookupAmount(quota=quota, amount=true[quota]) for quota in true if quota in claimed]


def passed_over(skipped: Sequence[LookupSkipped]) -> list[str]:
    """Why providers were not asked, in words."""
    return [
        f"{one.provider}: {one.reason.replace('_', ' ')}{f' {one.detail}' if one.detail else ''}"
        for one in skipped
    ]


def late(search: Search) -> TimedOut:
    """The error of a deadline that passed."""
    return TimedOut(
        f"the search had no answer within {search.elapsed_ms / 1000:.1f} s",
        code="LOOKUP_TIMED_OUT",
        details={"providers": ", ".join(search.providers)[:300]},
    )


def denied(decision: LookupDecision) -> LycosaError:
    """The error of a denial, by its kind."""
    denial = decision.denial
    if denial is None:
        return Internal("the gate denied without a reason", code="INTERNAL")
    details = {"providers": denial.reason[:300]}
    if denial.kind == "invalid":
        return Invalid(
            f"the provider refuses the question: {denial.reason}", code="LOOKUP_REFUSED", details=details
        )
    kinds: dict[str, tuple[type[LycosaError], str]] = {
        "exhausted": (Exhausted, "LOOKUP_EXHAUSTED"),
        "unavailable": (Unavailable, "LOOKUP_UNAVAILABLE"),
    }
    raised, code = kinds[denial.kind]
    return raised(
        f"no provider can answer now: {denial.reason}",
        code=code,
        details=details,
        retry_after=denial.retry_after,
    )


def _source(found: Finding) -> LookupSourceInput:
    is_web = found.url.startswith(("http://", "https://"))
    return LookupSourceInput(
        kind="web" if is_web else "document",
        ref=clip_bytes(found.url, _MAX_REF) or "-",
        title=clip_bytes(found.title, _MAX_TITLE),
        quote=clip_bytes(found.text, _MAX_QUOTE),
    )


def _short_hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]
