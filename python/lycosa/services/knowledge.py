"""What the store knows, as the analysis asks for it."""

import asyncio
import hashlib
import time
from datetime import UTC, datetime
from typing import Final

from lycosa.analysis.knowledge import WEB, Customer, Found, Passage, PastAnswer, Segment, WebFound
from lycosa.analysis.report import PastRequest
from lycosa.errors import NotFound
from lycosa.identity import Identity
from lycosa.procedures import Procedures, RequestSummary
from lycosa.providers.documents import NAME as DOCUMENTS
from lycosa.providers.findings import SearchOptions
from lycosa.services.lookup_forms import LookupAnswer
from lycosa.services.lookups import Lookups

__all__ = ["ANALYSIS", "StoreKnowledge"]

# The kind of request that an analysis is; its answer is no source for another one.
ANALYSIS: Final = "analysis"
_PAST_REQUESTS: Final = 20
_PAST_ANSWERS: Final = 3
# An own document that search did not find counts with its beginning.
_BEGINNING: Final = 1_000
_OWN_LISTED: Final = 50
# A document that was stored a moment ago is waited for; a long queue is not.
_WAIT_SECONDS: Final = 0.5
_WAIT_AT_MOST_FOR: Final = 200
# How long an analysis waits for the web: it goes on without it.
_WEB_SECONDS: Final = 6.0
_DEEP_SECONDS: Final = 25.0


class StoreKnowledge:
    """One tenant's knowledge in the store. Methods raise LycosaError."""

    def __init__(self, procedures: Procedures, identity: Identity, lookups: Lookups | None = None) -> None:
        """`lookups` buy what the web knows; nobody does when absent."""
        self._procedures = procedures
        self._identity = identity
        self._tenant = identity.tenant
        self._lookups = lookups

    @property
    def searches_web(self) -> bool:
        """Whether there is anybody to ask but the own documents."""
        if self._lookups is None:
            return False
        return any(name != DOCUMENTS for name in self._lookups.providers(self._identity, agents=True))

    async def customer(self, customer_id: str) -> Customer:
        """The record. Raises NotFound."""
        row = await self._procedures.customer_get(tenant=self._tenant, id=customer_id)
        return Customer(
            id=row.id,
            version=row.version,
            name=row.name,
            external_id=row.external_id,
            email=row.email,
            segment=row.segment,
            tags=tuple(row.tags),
            country=row.country,
            industry=row.industry,
            revenue_cents=row.revenue_cents,
            orders=row.orders,
            since=row.since,
            profile=dict(row.profile),
        )

    async def segment(self, name: str) -> Segment | None:
        """Figures of a segment, None when nobody is in it."""
        try:
            row = await self._procedures.customer_segment(tenant=self._tenant, segment=name)
        except NotFound:
            return None
        return Segment(row.segment, row.customers, row.revenue_cents, row.orders)

    async def history(self, customer_id: str) -> list[PastAnswer]:
        """The last requests, newest first; those that brought knowledge from elsewhere with their answer."""
        page = await self._procedures.request_list(
            tenant=self._tenant, by="customer", value=customer_id, limit=_PAST_REQUESTS
        )
        telling = [row.id for row in page.rows if _tells(row)][:_PAST_ANSWERS]
        whole = await asyncio.gather(
            *(self._procedures.request_get(tenant=self._tenant, id=identifier) for identifier in telling)
        )
        answers = {found.request.id: found.request.answer for found in whole}
        return [
            PastAnswer(
                PastRequest(
                    id=row.id,
                    kind=row.kind,
                    status=row.status,
                    question=row.question,
                    created_at=datetime.fromtimestamp(row.created_at, UTC),
                ),
                answers.get(row.id),
            )
            for row in page.rows
        ]

    async def revision(self) -> str | None:
        """Another text after every change of a stored document; None while some are not indexed yet."""
        figures = await self._procedures.document_figures(tenant=self._tenant)
        return None if figures.waiting else figures.revision

    async def search(self, query: str, customer_id: str, *, kind: str | None, limit: int) -> Found:
        """Best passages of the customer's own documents and of those of nobody in particular: of one kind, or of
        every one but `web`.

        What was stored a moment ago is waited for, at most half a second.
        """
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            answer = await self._procedures.document_search(
                tenant=self._tenant,
                query=query,
                customer_id=customer_id,
                include_general=True,
                kind=kind,
                without_kind=WEB if kind is None else None,
                limit=limit,
            )
            if not 0 < answer.waiting <= _WAIT_AT_MOST_FOR or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.02)
        passages = tuple(
            Passage(
                document_id=hit.id,
                chunk=hit.chunk,
                title=hit.title,
                text=hit.text,
                kind=hit.kind,
                customer_id=hit.customer_id,
                url=hit.source,
                language=hit.language,
                score=hit.score,
            )
            for hit in answer.hits
        )
        return Found(passages, answer.waiting, answer.bounded)

    async def web(
        self, query: str, *, request_id: str, limit: int, deep: bool = False, agents: bool = False
    ) -> WebFound:
        """What the web says, through the gate: bought once and shared.

        It is asked in the name of nobody in particular: what it brings is kept for every customer it may concern.
        Raises what Lookups.search raises.
        """
        if self._lookups is None:
            return WebFound()
        options = SearchOptions(depth="advanced" if deep else "basic", max_results=limit)
        answer = await self._lookups.search(
            self._identity,
            query,
            options,
            deadline=_DEEP_SECONDS if deep else _WEB_SECONDS,
            request_id=request_id,
            agents=agents,
        )
        if answer.provider == DOCUMENTS:
            # What the store knows was searched for this customer already, and of others nothing may be said here.
            return WebFound((), answer.outcome, DOCUMENTS, (*answer.degraded, "nobody of the web answered"))
        return WebFound(
            _live(answer), answer.outcome, answer.provider, tuple(answer.degraded), answer.cost_microusd
        )

    async def own(self, customer_id: str, limit: int) -> list[Passage]:
        """The newest of the customer's own documents, with their beginnings."""
        page = await self._procedures.document_list(
            tenant=self._tenant, customer_id=customer_id, limit=_OWN_LISTED
        )
        newest = sorted(page.rows, key=lambda row: (-row.created_at, row.id))[:limit]
        found = await asyncio.gather(
            *(self._procedures.document_get(tenant=self._tenant, id=row.id) for row in newest),
            return_exceptions=True,
        )
        passages = []
        for text in found:
            if isinstance(text, NotFound):
                # Deleted meanwhile.
                continue
            if isinstance(text, BaseException):
                raise text
            row = text.document
            passages.append(
                Passage(
                    document_id=row.id,
                    chunk=1,
                    title=row.title,
                    text=text.text[:_BEGINNING],
                    kind=row.kind,
                    customer_id=row.customer_id,
                    url=row.source,
                    language=row.language,
                )
            )
        return passages


def _live(answer: LookupAnswer) -> tuple[Passage, ...]:
    """The results as passages, and the provider's own words, if it gave any, as one more."""
    found = answer.findings
    passages = [
        Passage(one.url, 1, one.title or one.url, one.text, WEB, url=one.url, score=one.score, is_live=True)
        for one in found.results
    ]
    if found.answer:
        title = f"{found.provider}: answer"
        words = hashlib.sha256(found.answer.encode()).hexdigest()[:16]
        reference = f"answer:{found.provider}:{words}"
        passages.append(Passage(reference, 1, title, found.answer, WEB, is_live=True))
    return tuple(passages)


def _tells(row: RequestSummary) -> bool:
    return row.kind != ANALYSIS and row.status in ("done", "degraded") and row.answer_bytes > 0
