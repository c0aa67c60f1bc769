"""No answer is larger than a model's room."""

from typing import Any

from fastmcp.resources import ResourceResult
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from fastmcp.tools.base import InputRequiredToolResult
from mcp.types import BlobResourceContents, EmbeddedResource, TextContent
from pydantic_core import to_json

from lycosa.errors import Invalid


def size_of(answer: ToolResult) -> int:
    """Bytes of the content blocks of a tool's answer: text as UTF-8, images and sound as they travel."""
    return sum(_block(block) for block in answer.content)


def _block(block: Any) -> int:
    if isinstance(block, TextContent):
        return _bytes(block.text)
    if isinstance(block, EmbeddedResource):
        inside = block.resource
        return len(inside.blob if isinstance(inside, BlobResourceContents) else inside.text.encode())
    return len(getattr(block, "data", ""))


def _bytes(content: str | bytes) -> int:
    return len(content.encode("utf-8", "replace") if isinstance(content, str) else content)


class Sizes(Middleware):
    """Refuses answers of tools and resources beyond `most` bytes.

    Nothing is cut: half of a JSON text is worse than none, and whoever asked can ask for less.
    """

    def __init__(self, most: int) -> None:
        self._most = most

    async def __call__(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        """Raises Invalid for an answer that is too large."""
        answer = await call_next(context)
        if isinstance(answer, ToolResult) and not isinstance(answer, InputRequiredToolResult):
            size = size_of(answer)
            # The same again, as structured content, is what most tools answer; measured only where it could matter.
            if answer.structured_content is not None and 8 * size + 8192 > self._most:
                size = max(size, len(to_json(answer.structured_content, fallback=str)))
        elif isinstance(answer, ResourceResult):
            size = sum(_bytes(part.content) for part in answer.contents)
        else:
            return answer
        if size > self._most:
            raise Invalid(
                f"the answer would be {size} bytes, more than the {self._most} that are allowed; "
                "ask for a smaller page or for less",
                code="ANSWER_TOO_LARGE",
                details={"bytes": size, "limit": self._most},
            )
        return answer
