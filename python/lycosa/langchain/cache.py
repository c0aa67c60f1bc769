"""A cache of language models' answers in the store."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import ormsgpack
import structlog
from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

from lycosa.errors import LycosaError
from lycosa.langchain.connection import LycosaConnection
from lycosa.langchain.messages import fields_of, message_of, name_of
from lycosa.services import Services

__all__ = ["LycosaCache"]

_log = structlog.get_logger(__name__)

_MESSAGE_PACK: Final = "application/msgpack"
_CHATS: Final[dict[str, type[ChatGeneration]]] = {
    "ChatGeneration": ChatGeneration,
    "ChatGenerationChunk": ChatGenerationChunk,
}
_TEXTS: Final[dict[str, type[Generation]]] = {"Generation": Generation, "GenerationChunk": GenerationChunk}


class LycosaCache(BaseCache):
    """What a model answered to a prompt, shared by all processes of the connection's tenant.

        set_llm_cache(LycosaCache(connection, ttl=86_400))

    A cache that fails is logged and the model is asked: caching never makes a call fail that would have succeeded.
    Look-ups of one tick of the event loop travel as one call, and so do updates.
    """

    def __init__(
        self,
        connection: LycosaConnection,
        *,
        ttl: float = 86_400.0,
        prefix: str = "langchain:llm",
        patience: float = 0.5,
    ) -> None:
        """Answers are kept for `ttl` seconds under keys of `prefix`; the store may take `patience` seconds a call."""
        self._connection = connection
        self._ttl = ttl
        self._prefix = prefix
        self._patience = patience

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """The kept answer, None when there is none."""
        try:
            return self._connection.run(lambda services: self._find(services, prompt, llm_string))
        except LycosaError as problem:
            _log.warning("llm_cache_failed", code=problem.code)
            return None

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """`lookup` on the running event loop."""
        try:
            return await self._find(await self._connection.services(), prompt, llm_string)
        except LycosaError as problem:
            _log.warning("llm_cache_failed", code=problem.code)
            return None

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keep an answer; one of classes that are not LangChain's own is not kept."""
        try:
            self._connection.run(lambda services: self._keep(services, prompt, llm_string, return_val))
        except LycosaError as problem:
            _log.warning("llm_cache_failed", code=problem.code)

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """`update` on the running event loop."""
        try:
            await self._keep(await self._connection.services(), prompt, llm_string, return_val)
        except LycosaError as problem:
            _log.warning("llm_cache_failed", code=problem.code)

    def clear(self, **kwargs: Any) -> None:
        """Forget every answer of this prefix. Raises Unavailable when the store is away."""
        self._connection.run(self._forget)

    async def aclear(self, **kwargs: Any) -> None:
        """`clear` on the running event loop."""
        await self._forget(await self._connection.services())

    def _key(self, prompt: str, llm_string: str) -> str:
        # The length says where the one ends and the other begins.
        told = f"{len(prompt)}:{prompt}{llm_string}"
        digest = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
        return f"{self._prefix}:{digest}"

    async def _find(self, services: Services, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        key = self._key(prompt, llm_string)
        entry = await services.cache.get(self._connection.identity, key, timeout=self._patience)
        if entry is None:
            return None
        try:
            return _decoded(entry.value)
        except (ValueError, KeyError, TypeError):
            # Of another version, or of somebody else.
            _log.warning("llm_cache_unreadable", key=key)
            return None

    async def _keep(self, services: Services, prompt: str, llm_string: str, answer: RETURN_VAL_TYPE) -> None:
        key = self._key(prompt, llm_string)
        try:
            value = _encoded(answer)
            await services.cache.set(
                self._connection.identity,
                key,
                value,
                ttl=self._ttl,
                media_type=_MESSAGE_PACK,
                timeout=self._patience,
            )
        except (TypeError, ValueError) as problem:
            _log.warning("llm_answer_not_kept", problem=str(problem), key=key)

    async def _forget(self, services: Services) -> None:
        await services.cache.invalidate(self._connection.identity, prefix=self._prefix + ":")


def _encoded(answer: Sequence[Generation]) -> bytes:
    """Raises Invalid, TypeError or ValueError for what cannot be kept."""
    parts: list[dict[str, Any]] = []
    for one in answer:
        name = type(one).__name__
        part: dict[str, Any] = {"class": name, "info": one.generation_info}
        if isinstance(one, ChatGeneration) and _CHATS.get(name) is type(one):
            part |= {"message": name_of(one.message), "fields": fields_of(one.message)}
        elif _TEXTS.get(name) is type(one):
            part["text"] = one.text
        else:
            raise TypeError(f"{name} is not one of LangChain's own")
        parts.append(part)
    return ormsgpack.packb(parts)


def _decoded(value: bytes) -> list[Generation]:
    """Raises ValueError, KeyError or TypeError for what is not such an answer."""
    answer: list[Generation] = []
    for part in ormsgpack.unpackb(value):
        if "message" in part:
            message = message_of(part["message"], part["fields"])
            answer.append(_CHATS[part["class"]](message=message, generation_info=part["info"]))
        else:
            answer.append(_TEXTS[part["class"]](text=part["text"], generation_info=part["info"]))
    return answer
