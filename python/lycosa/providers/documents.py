"""The store's own documents as the provider of last resort: it costs nothing and needs nobody outside."""

import asyncio
import datetime
import time
from typing import TYPE_CHECKING, Final

from lycosa.analysis.texts import clip_bytes, one_line
from lycosa.errors import Invalid, LycosaError
from lycosa.procedures import DocumentHit, LookupClaim
from lycosa.providers.findings import (
    Finding,
    Findings,
    ProviderFailure,
    SearchOptions,
    bounded,
    distinct,
    web_address,
)

if TYPE_CHECKING:
    from lycosa.identity import Identity
    from lycosa.services.documents import DocumentService

__all__ = ["NAME", "Documents"]

NAME: Final = "documents"
# Bytes of a query that the store takes.
_MOST_QUERY: Final = 1_000
# More than are wanted: several may be of one page, or too old.
_SPARE: Final = 3


class Documents:
    """The documents of one tenant, ranked by BM25. It fails only when the store is away."""

    def __init__(self, documents: "DocumentService", identity: "Identity") -> None:
        self._documents = documents
        self._identity = identity

    @property
    def name(self) -> str:
        """Among the providers."""
        return NAME

    def claims(self, options: SearchOptions) -> list[LookupClaim]:
        """Nothing."""
        return []

    def cost(self, options: SearchOptions) -> int:
        """Nothing."""
        return 0

    async def search(self, question: str, options: SearchOptions, deadline: float) -> Findings:
        """The best passages; a question in which no word is known brings none. Raises ProviderFailure.

        What has an address of the web has it here, anything else the one `document:<id>`. Of the options it knows
        `max_results` and `days`.
        """
        query = clip_bytes(one_line(question, _MOST_QUERY), _MOST_QUERY)
        try:
            async with asyncio.timeout(deadline):
                answer = await self._documents.search(
                    self._identity, query, limit=_SPARE * options.max_results
                )
        except Invalid:
            # Nothing in it to search for.
            return Findings(provider=NAME)
        except (LycosaError, TimeoutError) as problem:
            code = problem.code if isinstance(problem, LycosaError) else "TIMED_OUT"
            raise ProviderFailure(
                f"{NAME} cannot be searched: {code}", provider=NAME, cause="transient", charged=False
            ) from problem
        oldest = 0.0 if options.days is None else time.time() - 86_400.0 * options.days
        found = distinct(
            (_finding(hit) for hit in answer.hits if hit.created_at >= oldest), options.max_results
        )
        return Findings(provider=NAME, results=found)

    async def close(self) -> None:
        """Nothing is held."""


def _finding(hit: DocumentHit) -> Finding:
    day = datetime.datetime.fromtimestamp(hit.created_at, datetime.UTC).date().isoformat()
    return bounded(web_address(hit.source) or f"document:{hit.id}", hit.title, hit.text, hit.score, day)
