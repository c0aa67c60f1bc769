"""A model that speaks OpenAI's chat completions over real HTTP on loopback and says what a test scripted.

Streaming only, as the analysis uses it. It records each request's body and whether the caller hung up before the end.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(slots=True)
class Script:
    """One answer: pieces (or what makes them of the prompt) with a pause before each, then usage; or a status instead;
    or a break after some pieces.
    """

    pieces: Sequence[str] | Callable[[str], Sequence[str]] = ()
    pause: float = 0.0
    usage: tuple[int, int] | None = (100, 20)
    status: int = 200
    break_after: int | None = None


@dataclass(slots=True)
class Call:
    """What one request asked, and how it ended."""

    body: dict[str, Any]
    sent: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def prompt(self) -> str:
        """All messages as one text."""
        return "\n".join(str(message["content"]) for message in self.body["messages"])


class OpenAIModel:
    """`async with OpenAIModel(script) as model`: then `model.base_url` answers by the script, every time."""

    def __init__(self, script: Script) -> None:
        self.script = script
        # What the next calls get instead, and what calls for a model of this name always get.
        self.next: deque[Script] = deque()
        self.by_model: dict[str, Script] = {}
        self.calls: list[Call] = []
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def base_url(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert head.startswith("POST /v1/chat/completions "), head
            length = next(
                int(line.split(":")[1])
                for line in head.splitlines()
                if line.lower().startswith("content-length:")
            )
            call = Call(json.loads(await reader.readexactly(length)))
            self.calls.append(call)
            # The caller sends nothing more on this connection: its end of file means that it hung up.
            watching = asyncio.create_task(self._watch(reader, call))
            try:
                await self._answer(writer, call)
            except ConnectionError:
                call.hung_up.set()
            finally:
                call.ended.set()
                watching.cancel()
        finally:
            self._open.discard(writer)
            writer.close()

    async def _watch(self, reader: asyncio.StreamReader, call: Call) -> None:
        if await reader.read(1) == b"":
            call.hung_up.set()

    async def _answer(self, writer: asyncio.StreamWriter, call: Call) -> None:
        script = self.next.popleft() if self.next else self.by_model.get(call.body["model"], self.script)
        if script.status != 200:
            error = json.dumps({"error": {"message": "scripted; key sk-secret", "type": "scripted"}}).encode()
            writer.write(
                f"HTTP/1.1 {script.status} Scripted\r\ncontent-type: application/json\r\nconnection: close\r\n"
                f"content-length: {len(error)}\r\n\r\n".encode()
                + error
            )
            await writer.drain()
            return
        assert call.body["stream"] is True
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        pieces = script.pieces(call.prompt) if callable(script.pieces) else script.pieces
        for number, piece in enumerate(pieces):
            if number == script.break_after:
                # Without the last chunk: the connection broke.
                return
            await asyncio.sleep(script.pause)
            if call.hung_up.is_set():
                return
            await self._event(writer, self._chunk(call, {"role": "assistant", "content": piece}, None))
            call.sent += 1
        await self._event(writer, self._chunk(call, {}, "stop"))
        if script.usage is not None and (call.body.get("stream_options") or {}).get("include_usage"):
            came_in, went_out = script.usage
            usage = {
                "prompt_tokens": came_in,
                "completion_tokens": went_out,
                "total_tokens": came_in + went_out,
            }
            await self._event(writer, {**self._chunk(call, None, None), "usage": usage})
        await self._event(writer, "[DONE]")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _chunk(self, call: Call, delta: dict[str, str] | None, finish: str | None) -> dict[str, Any]:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        return {
            "id": "chatcmpl-scripted",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": call.body["model"],
            "choices": choices,
        }

    async def _event(self, writer: asyncio.StreamWriter, data: dict[str, Any] | str) -> None:
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        event = f"data: {text}\n\n".encode()
        writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
        await writer.drain()
