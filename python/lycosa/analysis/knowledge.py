"""What an analysis needs to know, and the protocol of who tells it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from lycosa.analysis.report import Language, PastRequest
from lycosa.analysis.texts import language_of

__all__ = [
    "WEB",
    "Customer",
    "Found",
    "Knowledge",
    "Passage",
    "PastAnswer",
    "Segment",
    "WebFound",
    "guess_language",
]

# The kind of passages and documents that come from a search of the web.
WEB: Final = "web"

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Customer:
    """The own record. Money in cents, moments in unix seconds."""

    id: str
    version: int
    name: str
    external_id: str | None = None
    email: str | None = None
    segment: str = ""
    tags: tuple[str, ...] = ()
    country: str | None = None
    industry: str | None = None
    revenue_cents: int = 0
    orders: int = 0
    since: float | None = None
    profile: dict[str, Scalar] = field(default_factory=dict)

    @property
    def since_date(self) -> str | None:
        """The day the relation began, ISO."""
        return None if not self.since else datetime.fromtimestamp(self.since, UTC).date().isoformat()


@dataclass(frozen=True, slots=True)
class Segment:
    """Sums over one segment."""

    name: str
    customers: int
    revenue_cents: int
    orders: int

    @property
    def mean_revenue_cents(self) -> float:
        """What a customer of the segment has bought, on average."""
        return self.revenue_cents / max(self.customers, 1)

    @property
    def mean_orders(self) -> float:
        """How often a customer of the segment has ordered, on average."""
        return self.orders / max(self.customers, 1)


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage that search found: stored, or `is_live` where a search of the web has just given it.

    Or, where it `is_past`, an earlier answer. A document's `kind` is its owner's word and may be any.
    """

    document_id: str
    chunk: int
    title: str
    text: str
    kind: str
    customer_id: str | None = None
    url: str | None = None
    language: str | None = None
    score: float | None = None
    is_live: bool = False
    is_past: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """An answer of the search. `waiting` documents are stored and not yet indexed."""

    passages: tuple[Passage, ...] = ()
    waiting: int = 0
    bounded: bool = False


@dataclass(frozen=True, slots=True)
class WebFound:
    """What a search of the web brought, from whom, and whether it was bought now (`bought`, `shared` with somebody
    who asked at the same time) or before (`hit`, `stale`). `degraded` says what it had to do without.
    """

    passages: tuple[Passage, ...] = ()
    outcome: str = "bought"
    provider: str = ""
    degraded: tuple[str, ...] = ()
    cost_microusd: int = 0


@dataclass(frozen=True, slots=True)
class PastAnswer:
    """An earlier request about the customer; `answer` where it brought knowledge from elsewhere."""

    request: PastRequest
    answer: str | None = None


class Knowledge(Protocol):
    """One tenant's knowledge. Methods raise LycosaError; only the record is indispensable."""

    async def customer(self, customer_id: str) -> Customer:
        """The record. Raises NotFound."""

    async def segment(self, name: str) -> Segment | None:
        """Figures of a segment, None when there are none."""

    async def history(self, customer_id: str) -> list[PastAnswer]:
        """Past requests, newest first, bounded."""

    @property
    def searches_web(self) -> bool:
        """Whether there is anybody to ask about the web."""

    async def revision(self) -> str | None:
        """Another text after every change of a stored document; None while some are not indexed yet."""

    async def search(self, query: str, customer_id: str, *, kind: str | None, limit: int) -> Found:
        """Best passages of the customer's own documents and of those of nobody in particular: of one kind, or of
        every one but `web`.
        """

    async def web(
        self, query: str, *, request_id: str, limit: int, deep: bool = False, agents: bool = False
    ) -> WebFound:
        """What the web says, bought once and shared; `deep` may take longer and cost more, and with `agents` those are
        asked first who read and answer in words. `request_id` is that of its own row in the history. Raises Exhausted
        or Unavailable when there is nobody who can be asked now.
        """

    async def own(self, customer_id: str, limit: int) -> list[Passage]:
        """Newest of the customer's own documents whatever they say, each with its beginning as chunk 1."""


def guess_language(question: str | None, customer: Customer, own: list[str | None]) -> Language:
    """The language to answer in: the question's, else the customer name's, else that of all own documents."""
    of_question = language_of(question) if question else None
    if of_question is not None:
        return of_question
    if language_of(customer.name) == "ru" or (own and all(language == "ru" for language in own)):
        return "ru"
    return "en"
