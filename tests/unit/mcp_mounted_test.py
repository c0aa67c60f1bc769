"""/mcp while MCP is not there: not installed, not ready yet, failed, or stopping."""

import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.types import Message

from lycosa.errors import LycosaError, NotFound, Unavailable
from lycosa.mcp import mounted
from lycosa.mcp.mounted import Mounted
from lycosa.services import Services
from lycosa.settings import Settings

SCOPE: dict[str, Any] = {"type": "http", "method": "POST", "path": "/mcp", "headers": []}


class Prepared:
    """Services that have nothing to prepare."""

    async def prepare(self) -> None:
        """Nothing."""


@contextlib.asynccontextmanager
async def running(door: Mounted) -> AsyncIterator[None]:
    services: Services = Prepared()  # type: ignore[assignment]
    async with door.running(services, Settings(_env_file=None), None, CollectorRegistry()):  # type: ignore[arg-type]
        yield


async def refusal(door: Mounted) -> LycosaError:
    async def receive() -> Message:
        raise AssertionError("nothing is read of a request that is refused")

    async def send(_message: Message) -> None:
        raise AssertionError("who raises does not answer")

    with pytest.raises(LycosaError) as refused:
        await door(dict(SCOPE), receive, send)
    return refused.value


def importing(monkeypatch: pytest.MonkeyPatch, found: object) -> None:
    async def import_in_background(_name: str) -> object:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(mounted, "import_in_background", import_in_background)


async def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    importing(monkeypatch, ImportError("no fastmcp", name="fastmcp"))
    door = Mounted()
    async with running(door):
        refused = await refusal(door)
    assert isinstance(refused, NotFound)
    assert "lycosa[mcp]" in refused.message


async def test_failed_while_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    async def open_endpoint(*_given: object) -> None:
        raise RuntimeError("a fault of ours")

    importing(monkeypatch, SimpleNamespace(open_endpoint=open_endpoint))
    door = Mounted()
    async with running(door):
        refused = await refusal(door)
    assert (type(refused), refused.code, refused.retry_after) == (Unavailable, "MCP_NOT_READY", 1.0)


async def test_not_ready_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounted, "_WAITED_FOR", 0.01)
    assert (await refusal(Mounted())).code == "MCP_NOT_READY"


async def test_stopping() -> None:
    door = Mounted()
    await door.drain(0.1)
    refused = await refusal(door)
    assert (refused.kind, refused.code) == ("unavailable", "STOPPING")
