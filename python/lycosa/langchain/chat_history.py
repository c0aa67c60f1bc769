"""Chat histories in the store, as LangChain's message history."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage

from lycosa.errors import Invalid, NotFound
from lycosa.langchain.connection import LycosaConnection
from lycosa.langchain.messages import fields_of, message_of, name_of
from lycosa.services import Services
from lycosa.services.session_messages import MOST_CONTENT
from lycosa.services.sessions import Message, Role, SessionMessage

__all__ = ["LycosaChatMessageHistory"]

_ROLES: Final[dict[str, Role]] = {
    "human": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "tool",
}
# By which a message of another writer comes back.
_CLASSES: Final = {"user": "HumanMessage", "assistant": "AIMessage", "system": "SystemMessage"}
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_PAGE: Final = 1_000


class LycosaChatMessageHistory(BaseChatMessageHistory):
    """The messages of one session, in order.

        RunnableWithMessageHistory(chain, lambda session: LycosaChatMessageHistory(connection, session))

    A message comes back as it was, of whatever class of LangChain's own; messages that others wrote over REST come back
    by their role.
    """

    def __init__(
        self,
        connection: LycosaConnection,
        session_id: str,
        *,
        last: int | None = None,
        tokens: int | None = None,
        durable: bool = True,
    ) -> None:
        """Reading gives the `last` messages (1..1,000), of together at most `tokens`; all of them when both are absent.

        Without `durable`, adding does not wait for the store: see `SessionService.append` for what a kill may cost.
        """
        super().__init__()
        self._connection = connection
        self._session = session_id
        self._last = last
        self._tokens = tokens
        self._durable = durable

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """The messages; none for a session that has not begun."""
        return self._connection.run(self._read)

    async def aget_messages(self) -> list[BaseMessage]:
        """`messages` on the running event loop."""
        return await self._read(await self._connection.services())

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages in order; one whose id is there already is not added again.

        Raises Invalid for a message that cannot be kept: then none is added.
        """
        self._connection.run(lambda services: self._add(services, messages))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """`add_messages` on the running event loop."""
        await self._add(await self._connection.services(), messages)

    def clear(self) -> None:
        """Delete the session."""
        self._connection.run(self._delete)

    async def aclear(self) -> None:
        """`clear` on the running event loop."""
        await self._delete(await self._connection.services())

    async def _read(self, services: Services) -> list[BaseMessage]:
        identity, sessions = self._connection.identity, services.sessions
        try:
            if self._last is not None or self._tokens is not None:
                limit = _PAGE if self._last is None else self._last
                window = await sessions.history(identity, self._session, limit=limit, tokens=self._tokens)
                return [_message(row) for row in window.messages]
            found: list[BaseMessage] = []
            while True:
                page = await sessions.history(identity, self._session, after=len(found), limit=_PAGE)
                found += [_message(row) for row in page.messages]
                if not page.more:
                    return found
        except NotFound:
            return []

    async def _add(self, services: Services, messages: Sequence[BaseMessage]) -> None:
        rows = [_row(message) for message in messages]
        for start in range(0, len(rows), _PAGE):
            await services.sessions.append(
                self._connection.identity,
                self._session,
                rows[start : start + _PAGE],
                durable=self._durable,
            )

    async def _delete(self, services: Services) -> None:
        await services.sessions.delete(self._connection.identity, self._session)


def _row(message: BaseMessage) -> Message:
    """A message as a row of the session: its text for who reads it there, and whatever else it holds as its body."""
    exclude, content = {"id", "type"}, message.content
    if isinstance(content, str) and len(content) <= MOST_CONTENT and not _CONTROLS.search(content):
        exclude.add("content")
    else:
        content = _CONTROLS.sub(" ", str(message.text))[: MOST_CONTENT // 4]
    fields = fields_of(message, exclude)
    extra: dict[str, str | bool] = {"class": name_of(message)}
    if message.id is not None:
        extra["own_id"] = True
    usage: Any = getattr(message, "usage_metadata", None)
    return Message(
        _ROLES.get(message.type, "user"),
        content,
        id=message.id,
        body=_json(fields) if fields else None,
        tokens=usage["output_tokens"] if usage else None,
        extra=extra,
    )


def _json(fields: dict[str, Any]) -> str:
    """JSON escapes what is below a blank, and no other control characters."""
    try:
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as problem:
        raise Invalid(f"the message cannot be written as JSON: {problem}", code="MESSAGE_NOT_JSON") from None
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _message(row: SessionMessage) -> BaseMessage:
    """The message of a row. Raises Invalid when it is none."""
    name = row.extra.get("class")
    try:
        if isinstance(name, str):
            fields = json.loads(row.body) if row.body is not None else {}
            fields.setdefault("content", row.content)
            if row.extra.get("own_id"):
                fields["id"] = row.id
            return message_of(name, fields)
        fields = {"content": row.content, "id": row.id}
        if row.role == "tool":
            return message_of("ToolMessage", fields | {"tool_call_id": row.extra.get("tool_call_id", "")})
        return message_of(_CLASSES[row.role], fields)
    except (ValueError, TypeError, AttributeError, RecursionError) as problem:
        raise Invalid(
            f"message {row.number} of session {row.session} is not one of LangChain's",
            code="MESSAGE_UNREADABLE",
            details={"session": row.session, "number": row.number},
        ) from problem
