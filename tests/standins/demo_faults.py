"""An analysis while every fault is switched on in turn, and what the user got: `make demo-faults`.

Tavily, Perplexity and the model are stand-ins on loopback, the store is a real one of its own. Each fault has a tenant
of its own, so that one fault's breakers and quotas do not meet the next.
"""

import asyncio
import json
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lycosa.analysis.report import Report, ReportEvent
from lycosa.identity import Identity
from lycosa.procedures import Procedures, connect
from lycosa.services import Services
from lycosa.telemetry import configure_logging
from tests.conftest import Store
from tests.standins.loopback import Fault
from tests.standins.openai_model import OpenAIModel, Script
from tests.standins.perplexity import Perplexity
from tests.standins.tavily import Tavily

QUESTION = "What is new about Fir?"
QUOTE = "Fir was founded in Oslo in 1900 by two brothers."
PROFILE = f"{QUOTE} It makes paper for newspapers and for books."


def written(prompt: str) -> list[str]:
    """What the model says: prose, and one fact from the document in its prompt."""
    source = re.findall(r"(S\d+) kind=document", prompt)[0]
    fact = {"statement": "Founded in 1900.", "quote": QUOTE, "source": source}
    return ["Fir ", "makes ", "paper.", f"\n```json\n{json.dumps({'facts': [fact]})}\n```"]


@dataclass
class Stage:
    """The stand-ins and what is analysed."""

    tavily: Tavily
    perplexity: Perplexity
    model: OpenAIModel
    services: Services
    identity: Identity

    async def analyze(self, mode: str = "standard", *, fresh: bool = False) -> Report:
        """One analysis to its end."""
        report = None
        events = self.services.analyses.analyze(self.identity, "c1", QUESTION, fresh=fresh, mode=mode)
        async for event in events:
            if isinstance(event, ReportEvent):
                report = event.report
        assert report is not None
        return report


@dataclass(frozen=True)
class Case:
    """A fault, how it is switched on, and in which mode is asked."""

    name: str
    switch: Callable[[Stage], None]
    mode: str = "standard"
    # Whether the question was answered well before: what is kept then may serve.
    is_known: bool = False


@dataclass(frozen=True)
class Outcome:
    """What the user got, and what it cost."""

    case: Case
    report: Report
    seconds: float
    credits: int
    requests: tuple[int, int, int]


def tavily(fault: Fault) -> Callable[[Stage], None]:
    """Every request to Tavily goes wrong like this."""

    def switch(stage: Stage) -> None:
        stage.tavily.always = fault

    return switch


def both(fault: Fault) -> Callable[[Stage], None]:
    """Every search goes wrong like this."""

    def switch(stage: Stage) -> None:
        stage.tavily.always = stage.perplexity.always = fault

    return switch


def model(
    *scripts: Script, always: Script | None = None, first: Script | None = None
) -> Callable[[Stage], None]:
    """The next answers of the model, or all of them, or all of the first model."""

    def switch(stage: Stage) -> None:
        stage.model.next.extend(scripts)
        if always is not None:
            stage.model.script = always
        if first is not None:
            stage.model.by_model["first"] = first

    return switch


CASES: Sequence[Case] = (
    Case("nothing", lambda stage: None),
    Case(
        "Tavily: 429, wait 1 s",
        lambda stage: stage.tavily.plan(Fault(status=429, headers={"retry-after": "1"})),
    ),
    Case("Tavily: 429, wait 60 s", tavily(Fault(status=429, headers={"retry-after": "60"}))),
    Case("Tavily: 432, credits spent", tavily(Fault(status=432))),
    Case("Tavily: 433, limit of the bill", tavily(Fault(status=433))),
    Case("Tavily: 401, key refused", tavily(Fault(status=401))),
    Case("Tavily: 400, question refused", tavily(Fault(status=400))),
    Case("Tavily: 500, once", lambda stage: stage.tavily.plan(Fault(status=500))),
    Case("Tavily: 500, always", tavily(Fault(status=500))),
    Case("Tavily: half of its JSON", tavily(Fault(manner="truncated"))),
    Case("Tavily: a page of HTML", tavily(Fault(manner="html"))),
    Case("Tavily: a redirect elsewhere", tavily(Fault(manner="redirect"))),
    Case("Tavily: a body without end", tavily(Fault(manner="endless"))),
    Case("Tavily: 64 MiB packed small", tavily(Fault(manner="gzip_bomb"))),
    Case("Tavily: hangs up", tavily(Fault(manner="dropped"))),
    Case("Tavily: a head that never ends", tavily(Fault(manner="slow_head"))),
    Case("both searches: 500", both(Fault(status=500))),
    Case("both searches: 500, known question", both(Fault(status=500)), is_known=True),
    Case("Perplexity: 401, deep mode", lambda stage: _perplexity(stage, Fault(status=401)), mode="deep"),
    Case("model: 503, once", model(Script(status=503))),
    Case("model: the first refuses", model(first=Script(status=401))),
    Case("model: breaks off", model(Script(written, break_after=2))),
    Case("models: both refuse", model(always=Script(status=401))),
    Case("everything", lambda stage: _everything(stage)),
)


def _perplexity(stage: Stage, fault: Fault) -> None:
    stage.perplexity.always = fault


def _everything(stage: Stage) -> None:
    both(Fault(status=500))(stage)
    stage.model.script = Script(status=401)


async def fill(procedures: Procedures, tenant: str) -> None:
    """One customer with one document."""
    await procedures.customer_upsert(tenant=tenant, rows=[{"id": "c1", "name": "Fir", "industry": "Paper"}])
    row = {"id": "profile", "title": "Profile", "text": PROFILE, "customer_id": "c1"}
    await procedures.document_put(tenant=tenant, documents=[row])


async def run(cases: Sequence[Case], show: Callable[[Outcome], None]) -> None:
    """Play the cases one after the other, each with providers that have forgotten the one before."""
    with tempfile.TemporaryDirectory(prefix="lycosa-") as data:
        store = Store(Path(data))
        store.start()
        try:
            for number, case in enumerate(cases):
                show(await play(store, case, f"fault-{number}"))
        finally:
            store.stop()


async def play(store: Store, case: Case, tenant: str) -> Outcome:
    """One analysis under one fault."""
    async with Tavily() as search, Perplexity() as other, OpenAIModel(Script(written)) as chat:
        settings = store.settings(
            tenant=tenant,
            llm="openai:first,openai:second",
            openai_base_url=chat.base_url,
            openai_api_key="sk-demo",
            tavily_api_key="tvly-demo",
            tavily_base_url=search.base_url,
            perplexity_api_key="pplx-demo",
            perplexity_base_url=other.base_url,
        )
        async with connect(settings) as client:
            procedures = Procedures(client)
            services = Services(procedures, settings)
            await services.prepare()
            await fill(procedures, tenant)
            stage = Stage(search, other, chat, services, Identity(tenant))
            try:
                if case.is_known:
                    await stage.analyze(case.mode)
                before = search.charged, len(search.requests), len(other.requests), len(chat.calls)
                case.switch(stage)
                began = time.perf_counter()
                report = await stage.analyze(case.mode, fresh=case.is_known)
                after = search.charged, len(search.requests), len(other.requests), len(chat.calls)
            finally:
                await services.aclose()
    charged, *requests = (late - early for late, early in zip(after, before, strict=True))
    return Outcome(
        case, report, time.perf_counter() - began, charged, (requests[0], requests[1], requests[2])
    )


def show(outcome: Outcome) -> None:
    """A case in a few lines."""
    report = outcome.report
    kinds = [source.kind for source in report.sources]
    print(f"\n{outcome.case.name}")
    print(
        f"  report after {outcome.seconds:.2f} s by {report.model}; sources: {kinds.count('web')} of the web, "
        f"{kinds.count('document')} documents"
    )
    to_tavily, to_perplexity, to_model = outcome.requests
    print(
        f"  requests: {to_tavily} to Tavily ({outcome.credits} credits charged), {to_perplexity} to Perplexity, "
        f"{to_model} to models; paid for the web: {report.web_cost_microusd / 1e6:.4f} US dollars"
    )
    for reason in report.degraded:
        print(f"  without: {reason}")


if __name__ == "__main__":
    configure_logging("error")
    asyncio.run(run(CASES, show))
