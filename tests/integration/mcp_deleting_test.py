"""Deleting through MCP: nothing goes without a yes, and a yes is to what was shown."""

from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from fastmcp.client.elicitation import ElicitResult
from mcp import MCPError
from mcp_types import ElicitResult as Answer
from mcp_types import (
    InputRequiredResult,
)
from mcp_types.jsonrpc import INVALID_PARAMS, MISSING_REQUIRED_CLIENT_CAPABILITY

from lycosa.errors import NotFound
from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.settings import Settings
from tests.integration.mcp_world import MODES, World, answered, call, content, refused, words


@pytest_asyncio.fixture(scope="module")
async def shared(procedures: Procedures, settings: Settings) -> AsyncIterator[World]:
    world = World(procedures, settings.model_copy(update={"mcp_rate_per_minute": 0}))
    yield world
    await world.services.aclose()


@pytest_asyncio.fixture
async def world(shared: World, identity: Identity) -> World:
    shared.identity = identity
    await shared.customers(*({"id": f"c{n}", "name": f"Fir {n}"} for n in range(12)))
    return shared


async def is_there(world: World, customer: str) -> bool:
    try:
        await world.services.customers.get(world.identity, customer)
    except NotFound:
        return False
    return True


class User:
    """Whoever sits before the client: notes what was asked and answers as told."""

    def __init__(self, mode: str, says: str) -> None:
        self._mode = mode
        self._says = says
        self.asked: list[str] = []

    async def __call__(self, message: str, response_type: Any, params: Any, context: Any) -> Any:
        self.asked.append(message)
        if self._says in ("decline", "cancel"):
            return ElicitResult(action=self._says)
        yes = self._says == "yes"
        return {"delete": yes} if self._mode == "auto" else response_type(value=yes)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("says", ["yes", "no", "decline", "cancel"])
async def test_only_a_yes_deletes(world: World, mode: str, says: str) -> None:
    user = User(mode, says)
    async with world.client(mode, elicitation_handler=user) as client:
        answer = await answered(client, "delete_customers", ids=["c1", "nobody", "c2", "c1"])
    assert user.asked == ["Delete 2 customers for good? Fir 1 (c1); Fir 2 (c2)"]
    gone = says == "yes"
    expected = {
        "confirmed": gone,
        "deleted": 2 if gone else 0,
        "ids": ["c1", "c2"] if gone else [],
        "unknown": ["nobody"],
    }
    assert content(answer) == expected
    assert ("Nothing was deleted" in words(answer)) is not gone
    assert await is_there(world, "c1") is not gone
    assert await is_there(world, "c3")


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_cannot_ask_is_refused(world: World, mode: str) -> None:
    async with world.client(mode) as client:
        if mode == "legacy":
            told = await refused(client, "delete_customers", ids=["c1"])
            assert (told["kind"], told["code"]) == ("denied", "CONFIRMATION_UNAVAILABLE")
        else:
            with pytest.raises(MCPError) as raised:
                await answered(client, "delete_customers", ids=["c1"])
            assert raised.value.error.code == MISSING_REQUIRED_CLIENT_CAPABILITY
            assert "elicitation" in str(raised.value.error.data)
    assert await is_there(world, "c1")


async def test_a_client_that_fails_to_ask_has_not_said_yes(world: World) -> None:
    async def fails(message: str, response_type: Any, params: Any, context: Any) -> Any:
        raise RuntimeError("no screen")

    async with world.client("legacy", elicitation_handler=fails) as client:
        told = await refused(client, "delete_customers", ids=["c1"])
    assert (told["kind"], told["code"]) == ("denied", "CONFIRMATION_UNAVAILABLE")
    assert await is_there(world, "c1")


async def test_a_yes_of_the_handshake_is_to_what_was_shown(world: World) -> None:
    async def changes(message: str, response_type: Any, params: Any, context: Any) -> Any:
        await world.customers({"id": "c1", "name": "Another"})
        return response_type(value=True)

    async with world.client("legacy", elicitation_handler=changes) as client:
        told = await refused(client, "delete_customers", ids=["c1", "c2"])
    assert (told["kind"], told["code"]) == ("conflict", "CONFIRMATION_STALE")
    assert await is_there(world, "c1")
    assert await is_there(world, "c2")


@pytest.mark.parametrize("mode", MODES)
async def test_many_are_named_by_the_first_ten(world: World, mode: str) -> None:
    user = User(mode, "no")
    async with world.client(mode, elicitation_handler=user) as client:
        await call(client, "delete_customers", ids=[f"c{n}" for n in range(12)])
        told = await refused(client, "delete_customers", ids=["nobody"])
    (question,) = user.asked
    assert question.startswith("Delete 12 customers for good? Fir 0 (c0); ")
    assert question.endswith("; and 2 more")
    assert told["kind"] == "not_found"


async def first_round(client: Any, *ids: str) -> InputRequiredResult:
    asked = await client.session.call_tool("delete_customers", {"ids": list(ids)}, allow_input_required=True)
    assert isinstance(asked, InputRequiredResult)
    return asked


async def second_round(client: Any, state: str | None, *ids: str) -> Any:
    return await client.session.call_tool(
        "delete_customers",
        {"ids": list(ids)},
        input_responses={"delete": Answer(action="accept", content={"delete": True})},
        request_state=state,
        allow_input_required=True,
    )


async def test_a_yes_without_having_been_asked_is_none(world: World) -> None:
    async with world.client(elicitation_handler=User("auto", "yes")) as client:
        again = await second_round(client, None, "c1")
        assert isinstance(again, InputRequiredResult)
        assert again.request_state
        assert await is_there(world, "c1")
        with pytest.raises(MCPError) as raised:
            await second_round(client, "v1.forged", "c1")
    assert raised.value.error.code == INVALID_PARAMS
    assert await is_there(world, "c1")


async def test_a_yes_is_to_these_customers_of_this_tenant(world: World, identity: Identity) -> None:
    async with world.client(elicitation_handler=User("auto", "yes")) as client:
        # Long enough not to stand in sealed bytes by chance.
        await world.customers({"id": "acme-corporation", "name": "Acme"})
        named = (await first_round(client, "acme-corporation")).request_state or ""
        sealed = urlsafe_b64decode(named.rpartition(".")[2] + "==")
        assert sealed
        assert "acme" not in named
        assert b"acme" not in sealed
        asked = await first_round(client, "c1")
        with pytest.raises(MCPError):
            # Sealed for another call.
            await second_round(client, asked.request_state, "c2")
        other = Identity(tenant=f"{identity.tenant}-2")
        world.identity = other
        await world.customers({"id": "c1", "name": "Another"})
        assert isinstance(await second_round(client, asked.request_state, "c1"), InputRequiredResult)
        assert await is_there(world, "c1")
        world.identity = identity
        # What has changed since is shown again.
        await world.customers({"id": "c1", "orders": 9})
        again = await second_round(client, asked.request_state, "c1")
        assert isinstance(again, InputRequiredResult)
        assert await is_there(world, "c1")
        done = await second_round(client, again.request_state, "c1")
        assert done.structured_content["deleted"] == 1
    assert not await is_there(world, "c1")
