"""How tools are declared: each with its scope, what it does to the world, its time and the schema of its answer."""

from collections.abc import Callable
from typing import Any

from fastmcp import FastMCP
from mcp_types import ToolAnnotations
from pydantic import BaseModel

from lycosa.mcp.scopes import Scope, needs

__all__ = ["ADDS", "CHANGES", "DELETES", "READS", "SPENDS", "add_tool"]


def _does(*, reads: bool, destroys: bool, repeats: bool, reaches_out: bool = False) -> ToolAnnotations:
    return ToolAnnotations(
        read_only_hint=reads,
        destructive_hint=destroys,
        idempotent_hint=repeats,
        open_world_hint=reaches_out,
    )


READS = _does(reads=True, destroys=False, repeats=True)
# Adds what was not there; said again, nothing more happens.
ADDS = _does(reads=False, destroys=False, repeats=True)
# Writes in place of what was there.
CHANGES = _does(reads=False, destroys=True, repeats=True)
DELETES = CHANGES
# Asks others, takes units of quotas and appends to the history every time.
SPENDS = _does(reads=False, destroys=False, repeats=False, reaches_out=True)


def add_tool(
    server: FastMCP[Any],
    tool: Callable[..., Any],
    answers: type[BaseModel],
    scope: Scope,
    effect: ToolAnnotations,
    tags: set[str],
    timeout: float = 10.0,
) -> None:
    """Register a function under its name, with its docstring as description. `timeout` is in seconds."""
    server.tool(
        tool,
        output_schema=answers.model_json_schema(mode="serialization"),
        annotations=effect,
        tags=tags,
        timeout=timeout,
        auth=needs(scope),
    )
