"""What stands around every operation: its line in the log, its span, answers that are kept for a moment."""

import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from fastmcp import Client
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from lycosa.identity import Identity
from lycosa.mcp.asking import Caller
from lycosa.mcp.middleware.kept import KEPT_SINCE
from lycosa.mcp.middleware.observed import REQUEST_ID
from lycosa.mcp.middleware.rates import Rates, quota_of
from lycosa.mcp.server import build
from lycosa.procedures import Procedures
from lycosa.services import Services
from lycosa.settings import Settings
from lycosa.telemetry import configure_logging
from tests.conftest import Store
from tests.integration.mcp_world import World, call


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging("debug", stream=stream)
    yield stream
    configure_logging("warning")


@pytest_asyncio.fixture
async def world(procedures: Procedures, server: Store, tenant: str) -> AsyncIterator[World]:
    yield World(procedures, server.settings(tenant=tenant, log_level="debug"))


def lines(log: io.StringIO, event: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in found if line["event"] == event]


async def test_every_operation_has_a_line_and_secrets_have_none(
    world: World, log: io.StringIO, tenant: str
) -> None:
    async with world.client() as client:
        answer = await client.call_tool("find_customers", {"by": "all"})
        await client.call_tool("get_customer", {"customer": "нет"}, raise_on_error=False)
        await client.call_tool("cache_stats", {"api_key": "s3cret-s3cret"}, raise_on_error=False)
    calls = {line["name"]: line for line in lines(log, "mcp_operation") if line["method"] == "tools/call"}
    found = calls["find_customers"]
    assert (found["outcome"], found["code"], found["tenant"], found["key_id"]) == ("ok", None, tenant, None)
    assert found["duration_ms"] > 0
    assert found["bytes"] == sum(len(block.text.encode()) for block in answer.content)
    assert found["request_id"] == answer.meta[REQUEST_ID]
    assert calls["get_customer"]["outcome"] == "not_found"
    assert calls["cache_stats"]["outcome"] == "invalid"
    given = {line["name"]: line["arguments"] for line in lines(log, "mcp_arguments") if line["name"]}
    assert given["get_customer"] == {"customer": "нет"}
    assert given["cache_stats"] == {"api_key": "[redacted]"}
    assert "s3cret" not in log.getvalue()


async def test_a_span_has_the_tenant_and_the_requests_id(world: World, tenant: str) -> None:
    spans = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    async with world.client() as client:
        answer = await client.call_tool("cache_stats")
    finished = spans.get_finished_spans()
    spans.shutdown()
    attributes = [one.attributes or {} for one in finished if "cache_stats" in one.name]
    (ours,) = [one for one in attributes if one.get("lycosa.tenant") == tenant]
    assert ours["lycosa.request_id"] == answer.meta[REQUEST_ID]


async def test_an_answer_is_kept_for_a_moment_and_forgotten_by_a_write(world: World) -> None:
    rows = [{"id": "c-1", "name": "One", "segment": "retail"}]
    async with world.client() as client:
        first = await client.call_tool("segment_figures", {})
        again = await client.call_tool("segment_figures", {})
        assert again.structured_content == first.structured_content
        assert KEPT_SINCE in again.meta
        assert KEPT_SINCE not in first.meta
        await call(client, "upsert_customers", rows=rows)
        after = await client.call_tool("segment_figures", {})
        assert KEPT_SINCE not in after.meta
        assert "retail" in json.dumps(after.structured_content)


async def test_schemas_are_listed_without_references(world: World) -> None:
    async with world.client() as client:
        tools = [*await client.list_tools(), *await client.list_tools()]
    shown = [json.dumps([tool.input_schema, tool.output_schema]) for tool in tools]
    assert len(shown) >= 30
    assert not [one for one in shown if "$ref" in one]


async def test_the_limit_of_a_caller_is_defined_once_and_again_when_it_was_removed(
    procedures: Procedures, settings: Settings, tenant: str
) -> None:
    services = Services(procedures, settings)
    rates = Rates(services, 2)
    long = Identity(tenant, key_id="jwt:" + "очень длинное имя" * 9)
    await rates._take(long)
    assert len(quota_of(long)) <= 64
    assert await services.quotas.remove(long, quota_of(long))
    await rates._take(long)
    assert (await services.quotas.figures(long, quota_of(long))).used == 1


async def test_a_caller_over_its_limit_names_no_figures(
    procedures: Procedures, server: Store, tenant: str
) -> None:
    world = World(procedures, server.settings(tenant=tenant, mcp_rate_per_minute=1))
    registry = CollectorRegistry()
    made = build(world.services, server.settings(tenant=tenant, mcp_rate_per_minute=1), world, registry)
    token = auth_context_var.set(AuthenticatedUser(Caller.of(world.identity)))
    try:
        async with Client(made) as client:
            for name in ("made-up-1", "made-up-2", "get_customer", "made-up-3"):
                answer = await client.call_tool(name, {}, raise_on_error=False)
            assert (answer.structured_content or {})["kind"] == "exhausted"
    finally:
        auth_context_var.reset(token)
    counted = {
        tuple(sample.labels.values())
        for family in registry.collect()
        if family.name == "lycosa_mcp_operations"
        for sample in family.samples
    }
    assert ("tools/call", "get_customer", "exhausted") in counted
    assert not any("made-up" in label for labels in counted for label in labels)
