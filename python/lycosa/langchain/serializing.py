"""How states and values of graphs become bytes, and what may be made of bytes again."""

from collections.abc import Iterable
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

__all__ = ["ClosedSerializer"]


class ClosedSerializer(JsonPlusSerializer):
    """LangGraph's serializer without the ways in which bytes could choose what is made of them.

    Of classes it makes LangGraph's own safe types and those that are named; all others come back as plain data. It
    never unpickles, nor reads the JSON of old, which makes prompts, models and other runnables of LangChain.
    """

    def __init__(self, allowed_msgpack_modules: Iterable[tuple[str, ...] | type] | None = None) -> None:
        """`allowed_msgpack_modules` are classes as (module, name) or the class itself."""
        allowed = None if allowed_msgpack_modules is None else tuple(allowed_msgpack_modules)
        super().__init__(pickle_fallback=False, allowed_msgpack_modules=allowed)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """What was dumped. Raises ValueError for a kind of bytes that `dumps_typed` does not make."""
        if data[0] == "json":
            raise ValueError("bytes of the kind json are not read")
        return super().loads_typed(data)
