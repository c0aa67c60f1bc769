"""The checkpoint saver under LangGraph's own suite."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest_asyncio
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate

from lycosa.identity import Identity
from lycosa.langchain.checkpoint_saver import LycosaCheckpointSaver
from lycosa.langchain.connection import LycosaConnection
from tests.conftest import Store


@pytest_asyncio.fixture
async def connection(server: Store, identity: Identity) -> AsyncIterator[LycosaConnection]:
    async with LycosaConnection(server.settings(), identity=identity) as connection:
        yield connection


async def test_the_suite_of_langgraph_finds_everything(connection: LycosaConnection) -> None:
    """Each capability, the optional ones included, in full."""

    @checkpointer_test(name="LycosaCheckpointSaver")
    async def registered() -> AsyncGenerator[BaseCheckpointSaver[Any], None]:
        yield LycosaCheckpointSaver(connection)

    report = await validate(registered)
    problems = {name: result.failures for name, result in report.results.items() if not result.passed}
    assert problems == {}
    assert report.conformance_level() == "FULL"
    assert sum(result.tests_passed for result in report.results.values()) >= 81
