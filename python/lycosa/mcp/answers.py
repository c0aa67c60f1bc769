"""What tools answer: structured content, the same as text for models that see only text, and what to do next."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastmcp.tools import ToolResult
from mcp_types import ContentBlock, ResourceLink, TextContent
from pydantic import BaseModel, Field

from lycosa.analysis.texts import clean, one_line

__all__ = ["Cursor", "CustomerKey", "excerpt", "gist", "link", "told", "uri"]

JSON = "application/json"
_LONGEST_GIST = 300

CustomerKey = Annotated[
    str, Field(min_length=1, max_length=128, description="Id of the customer, or its external id.")
]
Cursor = Annotated[
    str | None,
    Field(
        max_length=4096,
        description="`next` of the page before; every other argument must be as it was there.",
    ),
]


def told(content: BaseModel, *hints: str | None, links: Iterable[ResourceLink] = ()) -> ToolResult:
    """The answer of a tool: `content` as structured content and as JSON, then `hints` in words, then links."""
    structured: dict[str, Any] = content.model_dump(mode="json")
    blocks: list[ContentBlock] = [TextContent(type="text", text=content.model_dump_json())]
    hint = " ".join(hint for hint in hints if hint)
    if hint:
        blocks.append(TextContent(type="text", text=hint))
    return ToolResult(content=[*blocks, *links], structured_content=structured)


def page_hint(next_page: str | None, tool: str) -> str | None:
    """How the page that follows is asked for, None at the end."""
    return None if next_page is None else f"There is more: call {tool} again with `next` as cursor."


def uri(scheme: str, name: str, rest: str = "") -> str:
    """The URI of one of our resources. What a name holds besides letters and digits is encoded."""
    return f"{scheme}://{quote(name, safe='')}{rest}"


def link(scheme: str, name: str, title: str, rest: str = "") -> ResourceLink:
    """A link to one of our resources, under a title of one bounded line."""
    return ResourceLink(
        type="resource_link",
        uri=uri(scheme, name, rest),
        name=name,
        title=gist(title) or name,
        mime_type=JSON,
    )


def excerpt(text: str, limit: int) -> str:
    """Text of others, without characters that are not seen, cut at a word; an ellipsis says that it was cut."""
    cleaned = clean(text, limit)
    return f"{cleaned} …" if len(text.strip()) > limit else cleaned


def gist(text: str | None, limit: int = _LONGEST_GIST) -> str:
    """`excerpt` in one line, for titles and questions in listings."""
    return one_line(text or "", limit)


def distinct(names: Sequence[str]) -> list[str]:
    """The names in their order, each once."""
    return list(dict.fromkeys(names))
