"""LangChain's messages as data. What comes back is made of the classes named here and of no other."""

from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)
from pydantic_core import PydanticSerializationError

from lycosa.errors import Invalid

__all__ = ["fields_of", "message_of", "name_of"]

_CLASSES: Final[dict[str, type[BaseMessage]]] = {
    kind.__name__: kind
    for kind in (
        AIMessage,
        AIMessageChunk,
        ChatMessage,
        ChatMessageChunk,
        FunctionMessage,
        FunctionMessageChunk,
        HumanMessage,
        HumanMessageChunk,
        SystemMessage,
        SystemMessageChunk,
        ToolMessage,
        ToolMessageChunk,
    )
}


def name_of(message: BaseMessage) -> str:
    """The class by which it comes back. Raises Invalid for one that is not LangChain's own."""
    name = type(message).__name__
    if _CLASSES.get(name) is not type(message):
        raise Invalid(
            f"a message of {type(message).__module__}.{name} cannot be kept, only those of LangChain itself",
            code="MESSAGE_UNKNOWN",
            details={"class": name},
        )
    return name


def fields_of(message: BaseMessage, exclude: set[str] | None = None) -> dict[str, Any]:
    """Its fields that are not what they are by default, in the types of JSON. Raises Invalid for what has none."""
    try:
        return message.model_dump(mode="json", exclude_defaults=True, exclude=exclude)
    except (PydanticSerializationError, UnicodeEncodeError, RecursionError) as problem:
        raise Invalid(f"the message cannot be written as JSON: {problem}", code="MESSAGE_NOT_JSON") from None


def message_of(name: str, fields: dict[str, Any]) -> BaseMessage:
    """The message again. Raises ValueError for a class or for fields that are none."""
    kind = _CLASSES.get(name)
    if kind is None:
        raise ValueError(f"there is no message {name[:100]}")
    return kind.model_validate(fields)
