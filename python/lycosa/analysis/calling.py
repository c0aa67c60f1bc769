"""The one model call: retried and handed to the next model until the first piece of text, then streamed."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final, cast

import structlog
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelRateLimitError,
    ModelTimeoutError,
)
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableLambda

from lycosa.analysis import prompts
from lycosa.analysis.model import ChatSource, ModelBusy, Writer
from lycosa.analysis.report import Tokens

__all__ = ["Spent", "model_seconds", "named", "stream_answer"]

_log = structlog.get_logger(__name__)

# A call that lasts longer is given up.
model_seconds: Final = 90.0
# Of one model, before the first piece; a moment between them.
_ATTEMPTS: Final = 2
_PAUSE: Final = {"initial": 0.2, "max": 2.0, "jitter": 0.3}
# What may be gone a moment later, as LangChain names it whatever the provider.
_TRANSIENT: Final = (ModelAPIError, ModelConnectionError, ModelRateLimitError, ModelTimeoutError)


@dataclass(slots=True)
class Spent:
    """What the call has used so far; filled while it runs, so that it is known when the call breaks off."""

    input_characters: int = 0
    output_characters: int = 0
    pieces: int = 0
    reported: tuple[int, int] | None = None
    began: float | None = None
    ended: float | None = None
    # Who writes, as soon as somebody does, and who did not and why.
    model: str | None = None
    failures: list[str] = field(default_factory=list)

    def tokens(self) -> Tokens:
        """As the provider counted, else estimated: four characters a token going in, a piece a token coming out."""
        if self.reported is not None:
            return Tokens(input=self.reported[0], output=self.reported[1], counted="provider")
        if self.began is None:
            return Tokens()
        return Tokens(input=self.input_characters // 4, output=self.pieces, counted="estimate")

    @property
    def milliseconds(self) -> float | None:
        """How long the call took or has taken."""
        if self.began is None:
            return None
        return ((self.ended or time.perf_counter()) - self.began) * 1000


class _Accounting(AsyncCallbackHandler):
    """Counts what a call uses, as LangChain tells of it."""

    def __init__(self, spent: Spent) -> None:
        self._spent = spent

    async def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], **_: Any
    ) -> None:
        """What goes in. A model that refuses charges nothing: the one that answers counts."""
        self._spent.input_characters = sum(len(str(message.content)) for message in messages[0])

    async def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """What the provider counted, when the answer came to its end."""
        for generation in response.generations[0]:
            message = generation.message if isinstance(generation, ChatGeneration) else None
            if isinstance(message, AIMessage) and message.usage_metadata is not None:
                usage = message.usage_metadata
                self._spent.reported = (usage["input_tokens"], usage["output_tokens"])


@dataclass(frozen=True, slots=True)
class _Opened:
    """An answer that has begun: who writes, its first piece, and the rest."""

    model: str
    first: str
    rest: AsyncGenerator[AIMessageChunk, None]


def _opening(
    name: str, source: ChatSource, spent: Spent, stack: AsyncExitStack
) -> Runnable[PromptValue, _Opened]:
    """Begin the answer of one model. What it holds open is let go with the stack."""

    async def begin(prompt: PromptValue) -> _Opened:
        try:
            chat = await stack.enter_async_context(source)
            config = {"callbacks": [_Accounting(spent)]}
            rest = cast(AsyncGenerator[AIMessageChunk, None], chat.astream(prompt, config))  # type: ignore[arg-type]
            stack.push_async_callback(rest.aclose)
            async for chunk in rest:
                if chunk.text:
                    return _Opened(name, chunk.text, rest)
            return _Opened(name, "", rest)
        except Exception as problem:
            failure = f"{name} failed ({named(problem)})"
            if failure not in spent.failures:
                spent.failures.append(failure)
            _log.warning("model_failed", model=name, problem=named(problem))
            raise

    return RunnableLambda(begin).with_retry(
        retry_if_exception_type=_TRANSIENT,
        wait_exponential_jitter=True,
        exponential_jitter_params=cast(Any, _PAUSE),
        stop_after_attempt=_ATTEMPTS,
    )


async def stream_answer(
    writer: Writer, prompt: str, values: dict[str, str], spent: Spent
) -> AsyncGenerator[str, None]:
    """The pieces of the answer: of the writer's model, or of the next one when it fails before its first piece. The
    only place where a model is called. Raises what the last model raised.
    """
    assert writer.source is not None
    messages = prompts.template(prompt).invoke(values)
    spent.began = time.perf_counter()
    try:
        async with asyncio.timeout(model_seconds), AsyncExitStack() as stack:
            opening, *others = [
                _opening(name, source, spent, stack)
                for name, source in ((writer.name, writer.source), *writer.others)
            ]
            opened = await (opening.with_fallbacks(others) if others else opening).ainvoke(messages)
            spent.model = opened.model
            piece = opened.first
            while True:
                if piece:
                    spent.pieces += 1
                    spent.output_characters += len(piece)
                    yield piece
                chunk = await anext(opened.rest, None)
                if chunk is None:
                    return
                piece = chunk.text
    finally:
        spent.ended = time.perf_counter()


def named(problem: BaseException) -> str:
    """What went wrong in a few words of ours: a provider's own message may hold parts of a key."""
    if isinstance(problem, ModelBusy):
        return str(problem)
    status = getattr(problem, "status_code", None)
    return f"{type(problem).__name__}{f' {status}' if isinstance(status, int) else ''}"
