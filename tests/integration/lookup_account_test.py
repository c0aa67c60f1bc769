"""Tenants who share a provider's key: one budget and one breaker for all of them, and everything else apart."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from lycosa.cli.main import app
from lycosa.identity import SCOPES, Identity
from lycosa.procedures import Procedures
from lycosa.services.access import AccessService
from tests.conftest import Store
from tests.integration.rest_client import free_port, serving
from tests.integration.rest_errors_test import problem
from tests.standins.loopback import Fault
from tests.standins.tavily import Tavily

CREDITS = 6
MONTH = "tavily.k1.month"


class World(NamedTuple):
    """A server whose key of Tavily three tenants use: its own and two others."""

    tenant: str
    owner: httpx.AsyncClient
    anna: httpx.AsyncClient
    boris: httpx.AsyncClient
    tavily: Tavily
    procedures: Procedures
    environment: dict[str, str]

    async def sums(self, tenant: str) -> tuple[int, int, int]:
        """used, reserved, unknown of the month."""
        row = (await self.procedures.quota_report(tenant=tenant, quotas=[MONTH])).rows[0]
        return row.used, row.reserved, row.unknown

    async def run(self, *words: str) -> Any:
        """A command, in a thread: it has an event loop of its own."""
        runner = CliRunner(env=self.environment)
        return await asyncio.to_thread(runner.invoke, app, list(words), prog_name="lycosa")


@pytest_asyncio.fixture
async def world(server: Store, procedures: Procedures, tenant: str) -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as stack:
        tavily = await stack.enter_async_context(Tavily())
        settings = server.settings(
            authentication="required",
            tenant=tenant,
            http_port=free_port(),
            tavily_api_key="tvly-one",
            tavily_base_url=tavily.base_url,
            tavily_monthly_credits=CREDITS,
        )
        rest = await stack.enter_async_context(serving(settings))
        keys, clients = AccessService(procedures), []
        for name in (tenant, f"{tenant}-anna", f"{tenant}-boris"):
            credential = (await keys.create(Identity(name), "test", SCOPES)).credential
            headers = {"authorization": f"Bearer {credential}"}
            client = httpx.AsyncClient(base_url=rest.base_url, timeout=30, headers=headers)
            clients.append(await stack.enter_async_context(client))
        environment = {
            "LYCOSA_DATA": str(server.data),
            "TARANTOOL_HOST": str(server.socket),
            "LYCOSA_TENANT": tenant,
            "TAVILY_API_KEY": "tvly-one",
            "TAVILY_BASE_URL": tavily.base_url,
            "LYCOSA_TAVILY_MONTHLY_CREDITS": str(CREDITS),
        }
        owner, anna, boris = clients
        # What a tenant has stored itself is not to answer here.
        off = await owner.put("/v1/providers/documents", json={"enabled": False})
        assert off.status_code == 200, off.text
        yield World(tenant, owner, anna, boris, tavily, procedures, environment)


async def ask(client: httpx.AsyncClient, question: str) -> httpx.Response:
    return await client.post("/v1/search", json={"question": question})


async def state(client: httpx.AsyncClient, name: str = "tavily") -> dict[str, Any]:
    rows: dict[str, Any] = {row["name"]: row for row in (await client.get("/v1/providers")).json()["rows"]}
    found: dict[str, Any] = rows[name]
    return found


async def test_one_key_has_one_budget_whoever_asks(world: World) -> None:
    """Both ask the same questions at once, one call breaks off after it was charged; the ledger is the account's."""
    world.tavily.latency = 0.05
    asked = [
        (client, f"Question {number}?") for number in range(CREDITS) for client in (world.anna, world.boris)
    ]
    answers = await asyncio.gather(*(ask(*one) for one in asked))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {200: CREDITS, 429: CREDITS}
    searches = [one for one in world.tavily.requests if one.path == "/search"]
    assert (len(searches), world.tavily.charged) == (CREDITS, CREDITS)
    assert await world.sums(world.tenant) == (CREDITS, 0, 0)
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert problem(refused, 429, "LOOKUP_EXHAUSTED")["details"]["providers"] == (
        f"tavily: quota {MONTH}, documents: off"
    )
    # The money stands with who asked, and nothing of it with the account.
    spent = []
    for client in (world.anna, world.boris, world.owner):
        rows = (await client.get("/v1/requests", params={"limit": 100})).json()["rows"]
        spent.append(sum(row["cost_microusd"] for row in rows))
    assert (sum(spent[:2]), spent[2]) == (8_000 * CREDITS, 0)
    assert [(await state(client))["spent_this_month"] for client in (world.anna, world.owner)] == [
        "6 credit"
    ] * 2
    assert (await state(world.boris))["state"] == "spent"
    # Limits of its own are a tenant's own business.
    assert (await world.anna.get("/v1/quotas")).json()["rows"] == []
    own = {"kind": "window", "amount": 1_000, "window": "month"}
    assert (await world.anna.put(f"/v1/quotas/{MONTH}", json=own)).status_code == 200
    assert (await ask(world.anna, "One more?")).status_code == 429
    assert (await ask(world.owner, "One more?")).status_code == 429


async def test_what_is_charged_and_lost_is_the_accounts_too(world: World) -> None:
    """A caller who hangs up, an answer that breaks off, and a leader who is never heard of again."""
    world.tavily.latency = 5.0
    with pytest.raises(httpx.ReadTimeout):
        await world.anna.post("/v1/search", json={"question": "Gone?"}, timeout=0.4)
    world.tavily.latency = 0.0
    candidates = [{"provider": "tavily", "claims": [{"quota": MONTH, "amount": 1}]}]
    lost = await world.procedures.lookup_begin(
        tenant=f"{world.tenant}-boris",
        account=world.tenant,
        key="lost",
        question="Lost?",
        providers=candidates,  # type: ignore[arg-type]
        lease=0.05,
    )
    assert lost.lease is not None
    for _ in range(100):
        if await world.sums(world.tenant) == (1, 0, 1):
            break
        await asyncio.sleep(0.02)
    assert (await ask(world.boris, "Well?")).status_code == 200
    # One was reserved and never sent.
    assert await world.sums(world.tenant) == (2, 0, 1)
    assert (
        sum(await world.sums(world.tenant))
        == len([one for one in world.tavily.requests if one.path == "/search"]) + 1
    )


async def test_a_breaker_that_one_tenant_opened_is_open_to_the_other(world: World) -> None:
    await world.procedures.lookup_set_provider(
        tenant=world.tenant, provider="tavily", threshold=2, cooldown=60
    )
    world.tavily.always = Fault(status=422)
    assert (await ask(world.anna, "Wrong?")).status_code == 422
    world.tavily.always = Fault(status=400, payload={"detail": {"error": "Anna asked of Fir"}})
    # The words of a refusal are for who asked; a question that is wrong is no fault of the provider.
    assert "Anna asked of Fir" in (await ask(world.anna, "Wrong again?")).text
    world.tavily.always = Fault(manner="html", payload="x")
    for number in range(2):
        assert (await ask(world.anna, f"Question {number}?")).status_code == 503
    sent = len(world.tavily.requests)
    found = problem(await ask(world.boris, "Another?"), 503, "LOOKUP_UNAVAILABLE")
    assert found["details"]["providers"] == "tavily: open, documents: off"
    assert len([one for one in world.tavily.requests[sent:] if one.path == "/search"]) == 0
    assert [(await state(client))["state"] for client in (world.owner, world.boris)] == ["open", "open"]


async def test_what_a_provider_said_is_for_who_asked(world: World) -> None:
    world.tavily.always = Fault(status=401, payload={"detail": {"error": "Fir is a secret"}})
    assert "Fir is a secret" not in (await ask(world.anna, "Who is Fir?")).text
    assert [(await state(client))["last_error"] for client in (world.owner, world.boris)] == [
        "tavily answered 401"
    ] * 2
    assert (await world.owner.put("/v1/providers/tavily", json={"enabled": True})).status_code == 200
    await ask(world.owner, "Who is Fir?")
    assert (await state(world.owner))["last_error"] == "tavily answered 401: Fir is a secret"
    assert (await state(world.boris))["last_error"] == "tavily answered 401"


async def test_only_the_account_itself_switches_and_orders(world: World) -> None:
    for change in ({"enabled": False}, {"place": 1}):
        problem(await world.anna.put("/v1/providers/tavily", json=change), 403, "OPERATOR_ONLY")
    problem(await world.anna.put("/v1/providers/nobody", json={"place": 1}), 403, "OPERATOR_ONLY")
    assert (await state(world.owner))["enabled"] is True
    assert (await world.owner.put("/v1/providers/tavily", json={"enabled": False})).status_code == 200
    found = problem(await ask(world.anna, "Anybody?"), 503, "LOOKUP_UNAVAILABLE")
    assert found["details"]["providers"] == "tavily: off, documents: off"


async def test_a_command_for_another_tenant_spends_of_the_same_budget(world: World) -> None:
    """`--tenant` says whose data; the keys stay those of LYCOSA_TENANT."""
    anna = f"{world.tenant}-anna"
    found = await world.run("search", "Who is Fir?", "--tenant", anna, "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["outcome"] == "bought"
    assert await world.sums(world.tenant) == (1, 0, 0)
    assert (await ask(world.anna, "Who is Fir?")).json()["outcome"] == "hit"
    assert (await ask(world.boris, "Who is Fir?")).json()["outcome"] == "bought"
    rows = json.loads((await world.run("providers", "list", "--tenant", anna, "--json")).stdout)["rows"]
    assert next(row for row in rows if row["name"] == "tavily")["spent_this_month"] == "2 credit"
    for words in (("off", "tavily"), ("order", "tavily")):
        refused = await world.run("providers", *words, "--tenant", anna)
        assert (refused.exit_code, "OPERATOR_ONLY" in refused.stderr) == (3, True), refused.output
