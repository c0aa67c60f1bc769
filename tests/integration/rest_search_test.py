"""Searching outside over HTTP and by command, with the real providers against their stand-ins."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from lycosa.cli.main import app
from lycosa.procedures import Procedures
from lycosa.settings import Settings
from tests.conftest import Store
from tests.integration.rest_client import free_port, serving
from tests.integration.rest_errors_test import problem
from tests.standins.loopback import Fault
from tests.standins.perplexity import Perplexity
from tests.standins.tavily import Tavily

QUESTION = {"question": "Чем торгует ООО Ромашка?"}


class Outside:
    """Both providers on loopback, and settings that lead there."""

    def __init__(self, server: Store, tenant: str, tavily: Tavily, perplexity: Perplexity) -> None:
        self.server, self.tenant, self.tavily, self.perplexity = server, tenant, tavily, perplexity

    def environment(self) -> dict[str, str]:
        return {
            "LYCOSA_DATA": str(self.server.data),
            "TARANTOOL_HOST": str(self.server.socket),
            "LYCOSA_TENANT": self.tenant,
            "TAVILY_API_KEY": "tvly-one",
            "PERPLEXITY_API_KEY": "pplx-one",
            "TAVILY_BASE_URL": self.tavily.base_url,
            "PERPLEXITY_BASE_URL": self.perplexity.base_url,
        }

    def settings(self, **more: Any) -> Settings:
        return self.server.settings(
            tenant=self.tenant,
            http_port=free_port(),
            tavily_api_key="tvly-one",
            perplexity_api_key="pplx-one",
            tavily_base_url=self.tavily.base_url,
            perplexity_base_url=self.perplexity.base_url,
            **more,
        )

    async def run(self, *words: str, status: int = 0) -> str:
        """A command, in a thread: it has an event loop of its own. Gives what it prints."""
        runner = CliRunner(env=self.environment())
        result = await asyncio.to_thread(runner.invoke, app, list(words), prog_name="lycosa")
        assert result.exit_code == status, result.output
        return result.stdout if status == 0 else result.stderr


@pytest.fixture
async def outside(server: Store, tenant: str) -> AsyncIterator[Outside]:
    async with Tavily() as tavily, Perplexity() as perplexity:
        yield Outside(server, tenant, tavily, perplexity)


@contextlib.asynccontextmanager
async def served(outside: Outside, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(outside.settings(**more)) as rest:
        yield rest


async def states(rest: httpx.AsyncClient) -> dict[str, Any]:
    return {row["name"]: row for row in (await rest.get("/v1/providers")).json()["rows"]}


async def test_a_search_is_bought_served_and_shown(outside: Outside, procedures: Procedures) -> None:
    async with served(outside) as rest:
        found = await rest.post("/v1/search", json=QUESTION, headers={"idempotency-key": "s-1"})
        assert found.status_code == 200, found.text
        first = found.json()
        assert (first["outcome"], first["provider"], first["request_id"]) == ("bought", "tavily", "s-1")
        assert (first["cost_microusd"], first["degraded"], len(first["results"])) == (8_000, [], 5)
        again = (await rest.post("/v1/search", json={"question": "чем торгует  ооо ромашка?"})).json()
        assert (again["outcome"], again["cost_microusd"], again["results"]) == ("hit", 0, first["results"])
        # The answer of one who writes is another answer.
        written = (await rest.post("/v1/search", json=QUESTION | {"answer": True})).json()
        assert (written["outcome"], written["provider"]) == ("bought", "perplexity-agent")
        assert written["answer"]
        found_again = (await rest.get("/v1/requests/s-1")).json()
        assert [source["kind"] for source in found_again["sources"]] == ["web"] * 5

        def searches() -> list[Any]:
            return [one for one in outside.tavily.requests if one.path == "/search"]

        assert len(searches()) == 1
        rows = await states(rest)
        assert list(rows) == ["perplexity-agent", "tavily", "perplexity", "documents"]
        tavily = rows["tavily"]
        assert (tavily["state"], tavily["breaker"], tavily["calls"]) == ("ready", "closed", 1)
        assert tavily["spent_this_month"] == "1 credit"
        month = next(one for one in tavily["quotas"] if one["window"] == "month")
        assert (month["quota"], month["limit"], month["used"], month["left"]) == (
            "tavily.k1.month", "1000", "1", "999",
        )  # fmt: skip
        text = (await rest.get("/metrics")).text
        for line in (
            'lycosa_searches_total{outcome="bought"} 2.0',
            'lycosa_searches_total{outcome="hit"} 1.0',
            'lycosa_provider_calls_total{provider="tavily",result="ok"} 1.0',
            'lycosa_provider_cost_usd_total{provider="tavily"} 0.008',
            'lycosa_provider_call_duration_seconds_count{provider="tavily"} 1.0',
            'lycosa_provider_breaker{provider="tavily",state="closed"} 1.0',
            'lycosa_provider_enabled{provider="tavily"} 1.0',
        ):
            assert line in text
    # Everything that was ever paid for is found again.
    documents = await procedures.document_list(tenant=outside.tenant, limit=100)
    assert {row.kind for row in documents.rows} == {"web"}


async def test_providers_are_switched_and_put_in_order(outside: Outside) -> None:
    async with served(outside) as rest:
        changed = (await rest.put("/v1/providers/tavily", json={"enabled": False})).json()
        assert (changed["enabled"], changed["state"]) == (False, "off")
        found = (await rest.post("/v1/search", json=QUESTION)).json()
        assert (found["provider"], found["degraded"]) == ("perplexity", ["tavily: off"])
        changed = (await rest.put("/v1/providers/tavily", json={"enabled": True, "place": 2})).json()
        assert (changed["state"], changed["place"]) == ("ready", 2)
        await rest.put("/v1/providers/perplexity", json={"place": 1})
        assert list(await states(rest))[:2] == ["perplexity", "tavily"]
        problem(await rest.put("/v1/providers/nobody", json={"enabled": True}), 404, "PROVIDER_NOT_FOUND")
        problem(await rest.put("/v1/providers/tavily", json={}), 422, "INVALID_ARGUMENT")
        problem(await rest.put("/v1/providers/tavily", json={"place": 0}), 422, "INVALID_ARGUMENT")


async def test_a_refusal_is_told_and_shown(outside: Outside) -> None:
    outside.tavily.keys = frozenset()
    async with served(outside) as rest:
        await rest.put("/v1/providers/perplexity", json={"enabled": False})
        await rest.put("/v1/providers/documents", json={"enabled": False})
        refused = await rest.post("/v1/search", json=QUESTION)
        found = problem(refused, 503, "LOOKUP_UNAVAILABLE")
        assert "tavily: refused" in found["details"]["providers"]
        row = (await states(rest))["tavily"]
        assert (row["state"], row["enabled"]) == ("refused", False)
        assert "401" in row["last_error"]
        assert "tvly-one" not in json.dumps(row) + refused.text
        problem(await rest.post("/v1/search", json={"question": " "}), 422, "INVALID_ARGUMENT")
        problem(
            await rest.post("/v1/search", json=QUESTION | {"options": {"max_results": 50}}),
            422,
            "INVALID_ARGUMENT",
        )


async def test_a_spent_month_is_429_with_the_time_to_come_back(outside: Outside) -> None:
    async with served(outside, tavily_monthly_credits=1) as rest:
        await rest.put("/v1/providers/perplexity", json={"enabled": False})
        await rest.put("/v1/providers/documents", json={"enabled": False})
        assert (await rest.post("/v1/search", json=QUESTION)).status_code == 200
        refused = await rest.post("/v1/search", json={"question": "another"})
        found = problem(refused, 429, "LOOKUP_EXHAUSTED")
        assert "tavily: quota tavily.k1.month" in found["details"]["providers"]
        assert int(refused.headers["retry-after"]) > 0
        row = (await states(rest))["tavily"]
        assert (row["state"], row["spent_this_month"]) == ("spent", "1 credit")
        assert row["retry_at"] is not None


async def test_with_everything_down_the_documents_answer(outside: Outside) -> None:
    # Refusals, which nobody tries again.
    outside.tavily.always = outside.perplexity.always = Fault(status=401)
    async with served(outside) as rest:
        await rest.post(
            "/v1/documents",
            json={"documents": [{"id": "d", "title": "Ромашка", "text": "ООО Ромашка торгует цветами."}]},
        )
        await asyncio.sleep(0.3)
        found = (await rest.post("/v1/search", json=QUESTION)).json()
        assert (found["provider"], found["cost_microusd"]) == ("documents", 0)
        assert [one["url"] for one in found["results"]] == ["document:d"]
        assert len(found["degraded"]) == 2
        kept = (await rest.get(f"/v1/requests/{found['request_id']}")).json()
        assert (kept["request"]["status"], kept["sources"][0]["kind"]) == ("degraded", "document")


async def test_who_hangs_up_stops_the_call(outside: Outside) -> None:
    outside.tavily.latency = 5.0
    async with served(outside) as rest:
        with pytest.raises(httpx.ReadTimeout):
            await rest.post("/v1/search", json=QUESTION, timeout=0.4)
        for _ in range(100):
            rows = (await rest.get("/v1/requests")).json()["rows"]
            if rows:
                break
            await asyncio.sleep(0.02)
        assert [(row["status"], row["cost_microusd"]) for row in rows] == [("cancelled", 8_000)]


async def test_the_account_is_compared_with_what_is_counted(outside: Outside) -> None:
    outside.tavily.spent_elsewhere = 7
    async with served(outside) as rest:
        for _ in range(100):
            drift = (await states(rest))["tavily"]["drift"]
            if drift is not None:
                break
            await asyncio.sleep(0.02)
        assert (drift["told"], drift["drift"], drift["adopted"]) == (7, 7, 7)
        assert (await states(rest))["tavily"]["spent_this_month"] == "7 credit"


async def test_the_commands(outside: Outside) -> None:
    found = json.loads(await outside.run("search", "Who is Acme?", "-n", "2", "--json"))
    assert (found["outcome"], found["provider"], len(found["findings"]["results"])) == ("bought", "tavily", 2)
    text = await outside.run("search", "Who is Acme?", "-n", "2")
    assert text.startswith("1. ")
    assert "https://" in text
    rows = json.loads(await outside.run("providers", "list", "--json"))["rows"]
    assert [row["name"] for row in rows] == ["perplexity-agent", "tavily", "perplexity", "documents"]
    assert "tavily is off" in await outside.run("providers", "off", "tavily")
    assert "tavily is ready" in await outside.run("providers", "on", "tavily")
    shown = await outside.run("providers", "order", "perplexity", "tavily")
    assert shown.index("perplexity ") < shown.index("tavily ")
    found = json.loads(await outside.run("search", "Who else?", "--json"))
    assert found["provider"] == "perplexity"
    assert "PROVIDER_NOT_FOUND" in await outside.run("providers", "off", "nobody", status=4)
    assert "INVALID_ARGUMENT" in await outside.run("search", "q", "--site", "no domain", status=2)
    assert "INVALID_ARGUMENT" in await outside.run("providers", "order", "tavily", "tavily", status=2)
