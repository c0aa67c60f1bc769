"""What a tool, a resource or a prompt that fails says, and who may use which."""

import asyncio
from typing import Any

import pytest
from fastmcp import Client, FastMCP
from mcp import MCPError

from lycosa.errors import Exhausted, NotFound
from lycosa.identity import Identity
from lycosa.mcp.asking import Depends, asking, services
from lycosa.mcp.server import build
from lycosa.procedures import Procedures
from lycosa.schemas.customers import SegmentOut
from lycosa.services import Services
from lycosa.settings import Settings


class Local:
    """Whoever asks is the caller on this machine."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def identify(self, credential: str | None) -> Identity:
        return Identity.local(self._settings)


@pytest.fixture
def mcp(procedures: Procedures, settings: Settings) -> FastMCP[Any]:
    made = build(Services(procedures, settings), settings, Local(settings))

    @made.tool
    async def spend(amount: int) -> int:
        raise Exhausted("quota web is spent", code="QUOTA_EXCEEDED", details={"left": 0}, retry_after=2.5)

    @made.tool(timeout=0.01)
    async def slow() -> int:
        await asyncio.sleep(5)
        return 1

    @made.tool
    async def broken() -> int:
        raise RuntimeError("password of the store is 123")

    @made.tool
    async def whoami(given: Services = Depends(services), identity: Identity = Depends(asking)) -> str:
        assert await given.customers.count(identity) >= 0
        return identity.tenant

    @made.tool
    async def misfit() -> str:
        return SegmentOut.model_validate({"segment": "smb", "customers": "secret-1"}).model_dump_json()

    @made.resource("thing://{name}")
    async def thing(name: str) -> str:
        raise NotFound(f"no thing {name}", code="THING_UNKNOWN", details={"name": name})

    return made


async def failed(client: Client[Any], tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments, raise_on_error=False)
    assert answer.is_error
    assert answer.structured_content is not None
    return answer.structured_content


async def test_a_tool_whose_time_is_over_says_so(mcp: FastMCP[Any]) -> None:
    async with Client(mcp) as client:
        told = await failed(client, "slow")
    assert (told["kind"], told["code"], told["details"]) == ("timeout", "TOOL_TIMED_OUT", {"name": "slow"})


async def test_a_tool_is_given_the_services_and_who_asks(mcp: FastMCP[Any], settings: Settings) -> None:
    async with Client(mcp) as client:
        assert (await client.call_tool("whoami")).data == settings.tenant


async def test_an_error_of_ours_is_the_answer_with_its_kind(mcp: FastMCP[Any]) -> None:
    async with Client(mcp) as client:
        content = await failed(client, "spend", amount=1)
        assert content == {
            "kind": "exhausted",
            "code": "QUOTA_EXCEEDED",
            "message": "quota web is spent",
            "retry_after": 2.5,
            "details": {"left": 0},
        }


async def test_a_wrong_argument_is_named(mcp: FastMCP[Any]) -> None:
    async with Client(mcp) as client:
        content = await failed(client, "spend", amount="many")
        assert (content["kind"], content["details"]["field"]) == ("invalid", "amount")
        content = await failed(client, "absent")
        assert (content["kind"], content["code"]) == ("not_found", "NAME_UNKNOWN")


async def test_a_fault_says_nothing_of_itself(mcp: FastMCP[Any]) -> None:
    async with Client(mcp) as client:
        content = await failed(client, "broken")
        assert content["kind"] == "internal"
        assert "123" not in str(content)


async def test_a_row_that_does_not_fit_is_a_fault_and_no_wrong_argument(mcp: FastMCP[Any]) -> None:
    async with Client(mcp) as client:
        content = await failed(client, "misfit")
    assert content["kind"] == "internal"
    assert "customers" not in str(content)


async def test_a_wrong_call_leaves_no_trace_in_the_log(
    mcp: FastMCP[Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with Client(mcp) as client:
        content = await failed(client, "upsert_customers", rows=[{"id": "x", "name": "\ud800"}])
        assert (content["kind"], content["details"]["field"]) == ("invalid", "rows")
        with pytest.raises(MCPError) as refused:
            await client.read_resource("customer://" + "x" * 200)
        assert refused.value.error.data["kind"] == "invalid"
        with pytest.raises(MCPError) as refused:
            await client.get_prompt("customer_brief", {"language": "en"})
        data = refused.value.error.data
        assert (data["kind"], data["details"]["argument"]) == ("invalid", "customer")
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_resource_fails_by_the_protocol_with_the_same_content(mcp: FastMCP[Any]) -> None:
    async with Client(mcp) as client:
        with pytest.raises(MCPError) as refused:
            await client.read_resource("thing://x")
    assert refused.value.error.data["code"] == "THING_UNKNOWN"
