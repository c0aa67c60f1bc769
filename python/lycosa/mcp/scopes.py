"""Who may use a tool, a resource or a prompt: what a caller may not use is not shown to them either."""

from collections.abc import Callable
from typing import Literal

from fastmcp.server.auth import AuthContext

Scope = Literal["read", "write", "spend", "admin"]


def needs(scope: Scope) -> Callable[[AuthContext], bool]:
    """An auth check for `@server.tool(auth=needs("write"))`, resources and prompts.

    Callers over HTTP always carry who they are, every scope of it where authentication is off. Who carries nothing
    calls from within this process or on stdio, and is trusted.
    """

    def allowed(context: AuthContext) -> bool:
        return context.token is None or scope in context.token.scopes

    return allowed
