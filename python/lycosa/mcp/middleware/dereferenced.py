"""Schemas without references, which some clients do not follow: as FastMCP does it, but once and not every time."""

from collections.abc import Iterable
from typing import Any

from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool
from fastmcp.utilities.json_schema import dereference_refs


class Dereferenced(Middleware):
    """Puts in place what the schemas of listed tools refer to. It takes a millisecond a tool, so it is kept."""

    def __init__(self) -> None:
        # By name: the schema it was made of, which is looked at, and what was made.
        self._made: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    def prepare(self, tools: Iterable[Tool]) -> None:
        """Do it before somebody asks. May run in a thread, as long as nobody asks."""
        for tool in tools:
            self._of(tool)

    async def __call__(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        """List, then put in place."""
        answer = await call_next(context)
        if context.method != "tools/list":
            return answer
        return [tool.model_copy(update=self._of(tool)) for tool in answer]

    def _of(self, tool: Tool) -> dict[str, Any]:
        kept = self._made.get(tool.name)
        if kept is not None and kept[0] is tool.parameters:
            return kept[1]
        made: dict[str, Any] = {"parameters": dereference_refs(tool.parameters)}
        if tool.output_schema is not None:
            made["output_schema"] = dereference_refs(tool.output_schema)
        self._made[tool.name] = (tool.parameters, made)
        return made
