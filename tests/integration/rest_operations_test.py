"""Health, readiness, figures, documentation, and the life of the server."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from lycosa.errors import Conflict, Denied, Invalid
from lycosa.rest.server import listen, require_safe, serve
from tests.conftest import ROOT, Store
from tests.integration.rest_client import free_port, serving


@pytest_asyncio.fixture
async def rest(server: Store, tenant: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(server.settings(tenant=tenant, http_port=free_port())) as client:
        yield client


@pytest.mark.parametrize("path", ["/healthz", "/health"])
async def test_live(rest: httpx.AsyncClient, path: str) -> None:
    answer = await rest.get(path)
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"


@pytest.mark.parametrize("path", ["/readyz", "/ready"])
async def test_ready(rest: httpx.AsyncClient, path: str) -> None:
    answer = await rest.get(path)
    assert answer.status_code == 200
    assert answer.json()["writable"] is True
    assert answer.json()["schema"] >= 1


async def until_ready(rest: httpx.AsyncClient) -> None:
    for _ in range(200):
        if (await rest.get("/readyz")).status_code == 200:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


async def test_the_store_goes_and_comes_back(own_server: Store) -> None:
    """Row A13: live is not ready."""
    settings = own_server.settings(http_port=free_port(), call_timeout=1.0)
    async with serving(settings) as rest:
        assert (await rest.get("/readyz")).status_code == 200
        own_server.kill()
        assert (await rest.get("/healthz")).status_code == 200
        started = time.monotonic()
        answer = await rest.get("/readyz")
        assert time.monotonic() - started < 2.0
        assert answer.status_code == 503
        assert answer.json()["code"] == "NOT_READY"
        assert int(answer.headers["retry-after"]) >= 1
        answer = await rest.get("/v1/customers/1")
        assert answer.status_code == 503
        assert answer.json()["kind"] == "unavailable"
        assert "lycosa_store_up 0.0" in (await rest.get("/metrics")).text
        own_server.start()
        await until_ready(rest)
        assert (await rest.get("/v1/customers/1")).status_code == 404


async def test_starts_without_a_store(own_server: Store) -> None:
    own_server.kill()
    async with serving(own_server.settings(http_port=free_port(), call_timeout=0.5)) as rest:
        assert (await rest.get("/healthz")).status_code == 200
        assert (await rest.get("/readyz")).status_code == 503
        own_server.start()
        await until_ready(rest)


async def test_a_store_that_hangs_is_a_timeout(own_server: Store) -> None:
    async with serving(own_server.settings(http_port=free_port(), call_timeout=0.5)) as rest:
        assert (await rest.get("/readyz")).status_code == 200
        own_server.pause()
        try:
            answer = await rest.get("/v1/customers/1")
            assert answer.status_code == 504
            assert answer.json()["kind"] == "timeout"
            assert (await rest.get("/readyz")).status_code == 503
        finally:
            own_server.resume()


async def test_figures(rest: httpx.AsyncClient) -> None:
    await rest.get("/v1/customers/nobody")
    await rest.get("/v1/nothing/at/all")
    answer = await rest.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    text = answer.text
    template = 'method="GET",route="/v1/customers/{customer_id}",status="404"'
    assert f"lycosa_http_requests_total{{{template}}} 1.0" in text
    assert 'route="unknown",status="404"' in text
    assert "nobody" not in text
    assert "lycosa_http_active_requests 1.0" in text
    assert 'lycosa_store_procedure_calls_total{procedure="customer.get"}' in text
    assert "lycosa_store_memory_quota_bytes" in text
    assert "lycosa_store_memory_live_bytes" in text
    assert 'lycosa_store_size_class_free_bytes{item_size="' in text
    for line in text.splitlines():
        assert re.fullmatch(r"#.*|[a-z_]+(\{.*\})? \S+", line), line


async def test_documentation_needs_no_other_address(rest: httpx.AsyncClient) -> None:
    for page in ("/docs", "/redoc"):
        answer = await rest.get(page)
        assert answer.status_code == 200
        assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", answer.text)
        for asset in re.findall(r"""(?:src|href)=["'](/[^"']+)""", answer.text):
            assert (await rest.get(asset)).status_code == 200, asset


def walk(node: Any) -> list[Any]:
    found = [node]
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        found += walk(inner)
    return found


def exampled(node: Any, schemas: dict[str, Any]) -> bool:
    """Whether an example stands somewhere in it, or in a schema that it names."""
    for inner in walk(node):
        if isinstance(inner, dict):
            if {"example", "examples"} & set(inner):
                return True
            name = str(inner.get("$ref", "")).rpartition("/")[2]
            if name and name != "Problem" and exampled(schemas[name], schemas):
                return True
    return False


async def test_the_description_is_whole(rest: httpx.AsyncClient) -> None:
    described = (await rest.get("/openapi.json")).json()
    operations = [
        (path, method, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) >= 18
    assert len({operation["operationId"] for _, _, operation in operations}) == len(operations)
    schemas = described["components"]["schemas"]
    for path, method, operation in operations:
        assert exampled(operation, schemas), (path, method)
        assert len(operation["description"]) > 15, (path, method)
        statuses = set(operation["responses"])
        assert statuses & {"200", "204"}, (path, method)
        if path.startswith("/v1"):
            assert {"422", "503"} <= statuses, (path, method)
    for node in walk(described):
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            name = node["$ref"].removeprefix("#/components/schemas/")
            assert name in described["components"]["schemas"], node["$ref"]
    assert "HTTPValidationError" not in json.dumps(described)


def test_listens_on_loopback_only(server: Store) -> None:
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        require_safe(server.settings(http_host=host))
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.com", ""):
        with pytest.raises(Denied) as raised:
            require_safe(server.settings(http_host=host))
        assert "LYCOSA_AUTHENTICATION=required" in raised.value.message
    require_safe(server.settings(http_host="0.0.0.0", authentication="required"))


async def test_a_port_in_use(server: Store) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings = server.settings(http_port=other.getsockname()[1])
        with pytest.raises(Conflict) as raised:
            await serve(settings, asyncio.Event())
        assert "LYCOSA_HTTP_PORT" in raised.value.message
    with pytest.raises(Invalid):
        listen("192.0.2.1", 8000)


@pytest.mark.seconds
async def test_stops_within_five_seconds_with_a_request_that_hangs(own_server: Store) -> None:
    stop, ready = asyncio.Event(), asyncio.Event()
    settings = own_server.settings(http_port=free_port(), call_timeout=30.0)
    server = asyncio.create_task(serve(settings, stop, ready))
    await asyncio.wait_for(ready.wait(), 5)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}", timeout=20) as client:
        assert (await client.get("/readyz")).status_code == 200
        own_server.pause()
        try:
            hanging = asyncio.create_task(client.get("/v1/customers/1"))
            await asyncio.sleep(0.2)
            started = time.monotonic()
            stop.set()
            await asyncio.wait_for(server, 6)
            assert time.monotonic() - started < 5.0
            await asyncio.gather(hanging, return_exceptions=True)
        finally:
            own_server.resume()
        with pytest.raises(httpx.HTTPError):
            await client.get("/healthz")


async def test_what_is_in_flight_is_finished(own_server: Store) -> None:
    stop, ready = asyncio.Event(), asyncio.Event()
    settings = own_server.settings(http_port=free_port(), call_timeout=10.0)
    server = asyncio.create_task(serve(settings, stop, ready))
    await asyncio.wait_for(ready.wait(), 5)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}", timeout=20) as client:
        await client.get("/readyz")
        own_server.pause()
        asked = asyncio.create_task(client.get("/v1/customers/1"))
        await asyncio.sleep(0.2)
        stop.set()
        await asyncio.sleep(0.2)
        own_server.resume()
        assert (await asked).status_code == 404
    await asyncio.wait_for(server, 5)


def test_one_line_of_json_an_operation(server: Store, tenant: str) -> None:
    """In a process of its own, as it runs: what standard error holds."""
    port = free_port()
    script = f"""
import asyncio, httpx
from lycosa.rest.server import serve
from lycosa.settings import Settings
from lycosa.telemetry import configure_logging
async def main():
    configure_logging("info")
    stop, ready = asyncio.Event(), asyncio.Event()
    settings = Settings(_env_file=None, data={str(server.data)!r}, tarantool_host={str(server.socket)!r},
                        http_port={port}, tenant={tenant!r}, llm="extractive")
    serving = asyncio.create_task(serve(settings, stop, ready))
    await ready.wait()
    async with httpx.AsyncClient(base_url="http://127.0.0.1:{port}") as client:
        await client.get("/healthz")
        await client.get("/v1/customers/secret-id?x=hunter2", headers={{"x-request-id": "req-7"}})
    stop.set()
    await serving
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=server.data,
        env=os.environ | {"PYTHONPATH": str(ROOT / "python")},
    )
    assert done.returncode == 0, done.stderr
    written = [json.loads(line) for line in done.stderr.splitlines()]
    (operation,) = [line for line in written if line["event"] == "request"]
    assert operation["route"] == "/v1/customers/{customer_id}"
    assert (operation["request_id"], operation["tenant"], operation["status"]) == ("req-7", tenant, 422)
    assert operation["duration_ms"] > 0
    assert operation["bytes"] > 0
    assert "hunter2" not in done.stderr
    assert "secret-id" not in done.stderr
