"""One MCP server for the tests of its tools, asked in memory; each test is a tenant of its own."""

from typing import Any

from fastmcp import Client, FastMCP
from fastmcp.client.client import CallToolResult
from mcp_types import TextContent

from lycosa.identity import Identity
from lycosa.mcp.server import build
from lycosa.procedures import Procedures
from lycosa.services import Services
from lycosa.settings import Settings

MODES = ("auto", "legacy")


class World:
    """The server, its services, and who asks."""

    def __init__(self, procedures: Procedures, settings: Settings) -> None:
        self.services = Services(procedures, settings)
        self.identity = Identity.local(settings)
        self.server: FastMCP[dict[str, Any]] = build(self.services, settings, self)

    async def identify(self, credential: str | None) -> Identity:
        """Everybody is whoever the test says."""
        return self.identity

    def client(self, mode: str = "auto", **given: Any) -> Client[Any]:
        """A client in memory."""
        return Client(self.server, mode=mode, **given)

    async def customers(self, *rows: dict[str, Any]) -> None:
        """Store customers."""
        outcomes = await self.services.customers.upsert(self.identity, rows)
        assert {one.outcome for one in outcomes} <= {"inserted", "updated"}, outcomes


async def call(client: Client[Any], tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured content of an answer."""
    answer = await answered(client, tool, **arguments)
    assert not answer.is_error, answer.structured_content
    return content(answer)


async def refused(client: Client[Any], tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured content of a refusal."""
    answer = await answered(client, tool, **arguments)
    assert answer.is_error, answer.structured_content
    return content(answer)


async def answered(client: Client[Any], tool: str, **arguments: Any) -> CallToolResult:
    """The whole answer, an error too."""
    return await client.call_tool(tool, arguments, raise_on_error=False)


def content(answer: CallToolResult) -> dict[str, Any]:
    """What programs read of an answer."""
    assert answer.structured_content is not None
    return answer.structured_content


def words(answer: CallToolResult) -> str:
    """What models read of an answer besides its JSON."""
    return "\n".join(block.text for block in answer.content[1:] if isinstance(block, TextContent))
