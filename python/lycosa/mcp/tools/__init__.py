"""The tools, one module a domain."""

from typing import Any

from fastmcp import FastMCP

from lycosa.mcp.tools import analyses, customers, deleting, documents, operations, searches

__all__ = ["register"]


def register(server: FastMCP[Any]) -> None:
    """Register every tool."""
    for module in (customers, deleting, documents, searches, analyses, operations):
        module.register(server)
