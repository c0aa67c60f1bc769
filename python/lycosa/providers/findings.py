"""What every provider of outside knowledge takes and gives, whoever it is.

Results are data of strangers: they are cleaned and bounded here, before anybody else sees them.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Annotated, Final, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from lycosa.analysis.texts import clean, one_line
from lycosa.procedures import LookupClaim
from lycosa.providers.lenient import number

__all__ = [
    "LONGEST_ANSWER",
    "MOST_RESULTS",
    "Cause",
    "Finding",
    "Findings",
    "Provider",
    "ProviderFailure",
    "SearchOptions",
    "bounded",
    "cleaned",
    "distinct",
    "web_address",
]

MOST_RESULTS: Final = 20
_LONGEST_URL: Final = 2_048
_LONGEST_TITLE: Final = 512
_LONGEST_TEXT: Final = 4_000
_LONGEST_DATE: Final = 64
LONGEST_ANSWER: Final = 32_000

Cause = Literal["transient", "late", "throttled", "exhausted", "refused", "invalid"]
_Domain = Annotated[str, StringConstraints(pattern=r"^[\w-]+(\.[\w-]+)+$", max_length=253)]


class Finding(BaseModel):
    """One result, cleaned and bounded. `score` is the provider's own measure, comparable within one answer only."""

    model_config = ConfigDict(frozen=True)

    url: str = Field(min_length=1, max_length=_LONGEST_URL)
    title: str = Field(default="", max_length=_LONGEST_TITLE)
    text: str = Field(default="", max_length=_LONGEST_TEXT)
    score: float | None = Field(default=None, allow_inf_nan=False)
    published: str | None = Field(default=None, max_length=_LONGEST_DATE)


class Findings(BaseModel):
    """What one call brought and what it took.

    `amounts` are the true amounts of every quota that the call claimed, in smallest units: requests that were sent,
    credits or millionths of a dollar that were spent, those of an earlier attempt whose charge is not known included.
    """

    model_config = ConfigDict(frozen=True)

    provider: str
    results: list[Finding] = Field(default_factory=list, max_length=MOST_RESULTS)
    answer: str | None = Field(default=None, max_length=LONGEST_ANSWER)
    cost_microusd: int = Field(default=0, ge=0)
    amounts: dict[str, int] = Field(default_factory=dict)
    tokens_in: int = Field(default=0, ge=0)
    tokens_out: int = Field(default=0, ge=0)
    status: int = 200


class SearchOptions(BaseModel):
    """What may be asked of a search; part of the cache's key. A provider leaves out what it has no word for.

    `days` bounds the age of results, `language` is of ISO 639-1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    depth: Literal["basic", "advanced"] = "basic"
    topic: Literal["general", "news", "finance"] = "general"
    max_results: int = Field(default=5, ge=1, le=MOST_RESULTS)
    days: int | None = Field(default=None, ge=1, le=3_650)
    include_domains: list[_Domain] = Field(default_factory=list, max_length=20)
    exclude_domains: list[_Domain] = Field(default_factory=list, max_length=20)
    language: str | None = Field(default=None, pattern=r"^[a-z]{2}$")


class ProviderFailure(Exception):
    """A provider did not answer.

    `cause` says what follows: transient - it may be well again soon; late - its caller had no time for it, which says
    nothing of it (only a look-up says so); throttled - it says to wait; exhausted - its
    credits are spent; refused - it will not talk to us until somebody acts; invalid - the question is wrong.
    `charged` says whether it may have charged any attempt: False only when that is certain. `amounts` are the true
    amounts of the claimed quotas (see Findings): requests count against a rate even where nothing was charged.
    `retry_after` is in seconds. The message holds no key, whatever the provider said.
    """

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        cause: Cause,
        charged: bool,
        retry_after: float | None = None,
        status: int | None = None,
        amounts: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.cause: Cause = cause
        self.charged = charged
        self.retry_after = retry_after
        self.status = status
        self.amounts: dict[str, int] = dict(amounts or {})

    def __repr__(self) -> str:
        return f"ProviderFailure({self.message!r}, provider={self.provider!r}, cause={self.cause!r})"


class Provider(Protocol):
    """Whoever can answer a question: one for every key of a provider.

    `name` is unique among them and what the store knows its breaker by: `tavily` for the first key, `tavily#2` for the
    second. A new provider is one file with such a class and one entry in `lycosa.providers.registry`.
    """

    @property
    def name(self) -> str:
        """Of this provider and key."""
        ...

    def claims(self, options: SearchOptions) -> list[LookupClaim]:
        """What one call takes of the quotas that `limits_of` defines."""
        ...

    def cost(self, options: SearchOptions) -> int:
        """What one call is expected to cost, in millionths of a US dollar."""
        ...

    async def search(self, question: str, options: SearchOptions, deadline: float) -> Findings:
        """Answer within `deadline` seconds. Raises ProviderFailure and nothing else."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def web_address(url: object) -> str | None:
    """The URL if it is one of the web that may be shown and followed: http or https, with a host, without a user's name
    or password, without characters that are not seen, at most 2,048 bytes. None otherwise.
    """
    if not isinstance(url, str):
        return None
    url = url.strip()
    # Categories C and Z: control, format (bidi marks), surrogates, unassigned; spaces and line ends.
    if any(unicodedata.category(character)[0] in "CZ" for character in url) or "\\" in url:
        return None
    if len(url.encode()) > _LONGEST_URL:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return None
    return url


def cleaned(url: object, title: object, text: object, score: object, published: object) -> Finding | None:
    """One result of whatever a provider sent as its fields; None when its URL is none of the web."""
    address = web_address(url)
    return None if address is None else bounded(address, title, text, score, published)


def bounded(ref: str, title: object, text: object, score: object, published: object) -> Finding:
    """One result whose reference is known to be good."""
    return Finding(
        url=ref,
        title=one_line(title, _LONGEST_TITLE) if isinstance(title, str) else "",
        text=clean(text, _LONGEST_TEXT) if isinstance(text, str) else "",
        score=number(score),
        published=(one_line(published, _LONGEST_DATE) or None) if isinstance(published, str) else None,
    )


def distinct(found: Iterable[Finding | None], limit: int) -> list[Finding]:
    """The first `limit` (at most 20) results, one a page: addresses that differ in their fragment, in the case of their
    host, in http or https or in a closing slash are one.
    """
    seen: set[str] = set()
    kept: list[Finding] = []
    for finding in found:
        if finding is None:
            continue
        parts = urlsplit(finding.url)
        page = f"{parts.netloc.lower()}{parts.path.rstrip('/')}?{parts.query}"
        if page not in seen:
            seen.add(page)
            kept.append(finding)
            if len(kept) >= min(limit, MOST_RESULTS):
                break
    return kept
