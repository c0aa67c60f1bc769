"""A tenant with a customer and texts, and a service whose model is a stand-in, for the tests of the analysis."""

import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from lycosa.analysis.report import Event, Report, ReportEvent
from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.services.analyses import AnalysisService
from lycosa.services.lookups import Lookups
from lycosa.settings import Settings
from tests.standins.openai_model import OpenAIModel, Script

QUOTE = "Fir was founded in Oslo in 1900 by two brothers."
NOTE = "The delivery in March was late. They want to renew for two years."


def answer(*pieces: str, **lists: Any) -> list[str]:
    """What a capable model says: prose in pieces, then its block."""
    return [*pieces, "\n\n```json\n", json.dumps(lists), "\n```"]


def good(prompt: str) -> list[str]:
    """A model that reads its prompt: one true fact, one false quote, one number that its quote does not hold."""
    document, note = (
        re.findall(rf'(S\d+) kind=document title="{title}"', prompt)[0] for title in ("doc", "note")
    )
    return answer(
        "Fir is ",
        "a paper ",
        "maker [S1].",
        facts=[
            {
                "statement": "Founded in 1900.",
                "quote": "fir was founded  in Oslo in 1900",
                "source": document,
            },
            {"statement": "Founded in 1800.", "quote": "Fir was founded in Oslo in 1800", "source": document},
            {"statement": "It has 7 mills.", "quote": "founded in Oslo in 1900 by two", "source": document},
        ],
        risks=[{"statement": "A late delivery.", "quote": "The delivery in March was late.", "source": note}],
        opportunities=["They may renew."],
        open_questions=[{"statement": "Who decides?"}],
    )


@dataclass
class World:
    """One tenant, one customer `c1` with two texts, and the service under test."""

    procedures: Procedures
    identity: Identity
    service: AnalysisService
    model: OpenAIModel
    seen: list[Event] = field(default_factory=list)

    async def customer(self, **fields: object) -> None:
        """Change the customer."""
        outcome = (
            await self.procedures.customer_upsert(tenant=self.identity.tenant, rows=[{"id": "c1", **fields}])
        )[0]
        assert outcome.outcome in ("inserted", "updated"), outcome

    async def document(self, identifier: str, text: str, **fields: object) -> None:
        """Store a document of the customer."""
        row = {"id": identifier, "title": identifier, "text": text, "customer_id": "c1", **fields}
        (outcome,) = await self.procedures.document_put(tenant=self.identity.tenant, documents=[row])
        assert outcome.outcome in ("inserted", "replaced"), outcome

    async def analyze(self, customer: str = "c1", **asked: Any) -> Report:
        """Run one analysis to its end; its events stay in `seen`. The report comes once and last."""
        self.seen = []
        async for event in self.service.analyze(self.identity, customer, **asked):
            self.seen.append(event)
        reports = [event for event in self.seen if isinstance(event, ReportEvent)]
        assert len(reports) == 1
        assert self.seen[-1] is reports[0]
        return reports[0].report

    def of(self, kind: str) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.seen if event.event == kind]

    async def recorded(self, identifier: str) -> Any:
        """The request as the history holds it, with its sources."""
        return await self.procedures.request_get(tenant=self.identity.tenant, id=identifier)


@contextlib.asynccontextmanager
async def world(
    procedures: Procedures,
    identity: Identity,
    settings: Settings,
    script: Script,
    lookups: Lookups | None = None,
) -> AsyncIterator[World]:
    """The world, with `settings` pointed at a model that follows the script, unless they name models of their own."""
    async with OpenAIModel(script) as model:
        pointed = settings.model_copy(
            update={
                "llm": settings.llm if ":" in settings.llm else "openai:scripted",
                "openai_base_url": model.base_url,
                "openai_api_key": "sk-secret",
            }
        )
        made = World(procedures, identity, AnalysisService(procedures, pointed, lookups=lookups), model)
        await made.customer(name="Fir", segment="smb", industry="Forestry", orders=2, revenue_cents=500)
        await made.document("doc", f"{QUOTE} It makes paper for newspapers and for books.", kind="profile")
        await made.document("note", NOTE, kind="note")
        try:
            yield made
        finally:
            await made.service.aclose()
