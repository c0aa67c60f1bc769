"""Chat histories: sessions and their messages."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from lycosa.errors import Invalid, NotFound, TimedOut
from lycosa.identity import Identity
from lycosa.procedures import Procedures, Scalar, Session, SessionHistory, SessionMessage, SessionPage
from lycosa.services.session_messages import Message, Role, check_name, checked
from lycosa.services.session_writer import SessionWriter, WriterFigures
from lycosa.settings import Settings

__all__ = ["Appended", "Message", "Role", "SessionMessage", "SessionService"]

MOST_MESSAGES: Final = 1_000


class Appended(NamedTuple):
    """The ids of appended messages, in order, and the number of the session's last message then; None for messages that
    only wait to be written."""

    ids: list[str]
    last: int | None = None


class SessionService:
    """The use-cases of chat histories. Every method takes who asks first."""

    def __init__(self, procedures: Procedures, settings: Settings) -> None:
        self._procedures = procedures
        self._timeout = settings.call_timeout
        self._writer = SessionWriter(procedures, settings.session_write_least, settings.session_write_most)

    async def create(
        self,
        identity: Identity,
        session_id: str,
        *,
        current_agent: str | None = None,
        metadata: Mapping[str, Scalar] | None = None,
        idle: float | None = None,
    ) -> Session:
        """Begin a session that ends after `idle` seconds without activity (thirty days when absent, 0 for never).

        Not needed before an append. Raises Conflict when it exists otherwise than asked for.
        """
        return await self._procedures.session_create(
            tenant=identity.tenant, id=session_id, current_agent=current_agent, metadata=metadata, idle=idle
        )

    async def get(self, identity: Identity, session_id: str) -> Session:
        """A session without its messages: current agent, counts, times. Raises NotFound."""
        await self._flush(identity, session_id)
        return await self._procedures.session_get(tenant=identity.tenant, id=session_id)

    async def exists(self, identity: Identity, session_id: str) -> bool:
        """Whether there is such a session."""
        try:
            await self.get(identity, session_id)
        except NotFound:
            return False
        return True

    async def history(
        self,
        identity: Identity,
        session_id: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int = 100,
        tokens: int | None = None,
    ) -> SessionHistory:
        """A session with its last messages, in order: at most `limit` (1..1,000) of together `tokens` and a megabyte.

        `before` a number gives the page before it, `after` a number the one that follows it; `more` tells whether
        others lie beyond. What this process appended is in it: what waits is written first. Raises NotFound.
        """
        await self._flush(identity, session_id)
        return await self._procedures.session_history(
            tenant=identity.tenant, id=session_id, after=after, before=before, limit=limit, tokens=tokens
        )

    async def append(
        self, identity: Identity, session_id: str, messages: Sequence[Message], *, durable: bool = False
    ) -> Appended:
        """Append up to 1,000 messages in order, beginning the session if need be; a repeated id is not written again.

        They wait 50 to 650 ms to be written with others and are lost if this process is killed meanwhile (not if it is
        asked to end); with `durable` the call returns when they are in the store. Raises Invalid, which names the
        field, Unavailable when the store is away and too many wait already, and with `durable` TimedOut when it does
        not take them in time (they wait on), Conflict for an id of another content (what else the call holds is
        appended), Exhausted for a full session.
        """
        check_name("session", session_id)
        if len(messages) > MOST_MESSAGES:
            raise Invalid(
                f"messages holds {len(messages)} items, at most {MOST_MESSAGES} are taken in one call",
                code="INVALID_ARGUMENT",
                details={"argument": "messages", "limit": MOST_MESSAGES},
            )
        now = self._procedures.server_time()
        sent = [checked(message, now) for message in messages]
        ids = [one.message["id"] for one in sent]
        done = self._writer.add(identity.tenant, session_id, sent, durable=durable) if sent else []
        if not done:
            return Appended(ids)
        try:
            async with asyncio.timeout(self._timeout):
                outcomes = await asyncio.gather(*done)
        except TimeoutError:
            raise TimedOut(
                f"the store did not take the messages of session {session_id} in time; they still wait to be written",
                code="SESSION_NOT_WRITTEN",
                details={"session": session_id},
            ) from None
        return Appended(ids, outcomes[-1].last)

    async def append_message(
        self,
        identity: Identity,
        session_id: str,
        role: Role,
        content: str,
        *,
        extra: Mapping[str, Scalar] | None = None,
        durable: bool = False,
    ) -> str:
        """Append one message; its id. See `append`."""
        message = Message(role, content, extra=extra or {})
        return (await self.append(identity, session_id, [message], durable=durable)).ids[0]

    async def append_tool_result(
        self, identity: Identity, session_id: str, tool_call_id: str, content: str, *, durable: bool = False
    ) -> str:
        """Append what a tool answered to a call; the message's id. See `append`."""
        extra = {"tool_call_id": tool_call_id}
        return await self.append_message(identity, session_id, "tool", content, extra=extra, durable=durable)

    async def update(
        self,
        identity: Identity,
        session_id: str,
        *,
        current_agent: str | None = None,
        metadata: Mapping[str, Scalar] | None = None,
        idle: float | None = None,
    ) -> Session:
        """Change what is given: which agent has the word (empty for none), metadata, idle seconds. Raises NotFound."""
        await self._flush(identity, session_id)
        return await self._procedures.session_update(
            tenant=identity.tenant, id=session_id, current_agent=current_agent, metadata=metadata, idle=idle
        )

    async def delete(self, identity: Identity, session_id: str) -> bool:
        """Delete a session with its messages, those that wait included; whether there was one."""
        await self._flush(identity, session_id)
        return (await self._procedures.session_delete(tenant=identity.tenant, id=session_id)).deleted

    async def remove(self, identity: Identity, session_id: str) -> None:
        """Delete a session. Raises NotFound when there is none."""
        if not await self.delete(identity, session_id):
            raise NotFound(
                f"session {session_id} does not exist", code="SESSION_NOT_FOUND", details={"id": session_id}
            )

    async def find(self, identity: Identity, *, cursor: str | None = None, limit: int = 20) -> SessionPage:
        """A page of sessions, the one last active first. Raises Invalid for a bad cursor."""
        return await self._procedures.session_list(tenant=identity.tenant, cursor=cursor, limit=limit)

    def figures(self) -> WriterFigures:
        """What this process has still to write, for how long it has waited, and what it has written."""
        return self._writer.figures()

    async def _flush(self, identity: Identity, session_id: str) -> None:
        await self._writer.flush(identity.tenant, session_id, self._timeout)

    async def aclose(self) -> None:
        """Write what waits. Afterwards nothing can be appended."""
        await self._writer.aclose()
