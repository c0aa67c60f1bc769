"""`lycosa mcp`: the MCP server on standard input and output, for a client on this machine that starts it."""

import asyncio
import os
import signal
import sys
import threading

import typer

from lycosa.cli.command import Invocation, command
from lycosa.cli.session import Session, open_session
from lycosa.telemetry import configure_logging
from lycosa.tracing import configure_tracing

_PIECE = 65536
# What is in flight when it is told to end has so long, in seconds.
_FINISH_WITHIN = 3.0
_TAKEN_WITHIN = 0.1
_FIRST_ANSWERS = 2.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "mcp", examples=["lycosa mcp", "lycosa mcp --tenant acme --data /srv/lycosa"])(mcp)


async def mcp(run: Invocation) -> None:
    """Serve MCP on standard input and output, as a client that starts this command wants it.

    The store must be running (`lycosa up`). Whoever starts this is trusted: the local caller, with every scope. Its
    log goes to standard error. It ends when its input does, on Ctrl-C and on SIGTERM.
    """
    async with open_session(run.settings) as session:
        configure_logging(run.settings.log_level, stream=sys.stderr)
        configure_tracing()
        # Half a second: after what can be refused at once.
        from lycosa.mcp.server import build

        server = build(session.services, run.settings, session.services.authenticator)
        preparing = asyncio.create_task(_prepare(session), name="lycosa-prepare")
        relay = _Relay()
        serving = asyncio.create_task(server.run_stdio_async(show_banner=False), name="lycosa-mcp")
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, told.set)
        waiting = asyncio.create_task(told.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            relay.close()
            await asyncio.wait({serving}, timeout=_FINISH_WITHIN)
            serving.cancel()
        waiting.cancel()
        preparing.cancel()
        await asyncio.gather(serving, waiting, preparing, return_exceptions=True)
    if serving.done() and not serving.cancelled() and (problem := serving.exception()) is not None:
        raise problem


async def _prepare(session: Session) -> None:
    """Not before the client has shaken hands and looked around, which it waits for."""
    await asyncio.sleep(_FIRST_ANSWERS)
    await session.services.prepare()


class _Relay:
    """Hands standard input on through a pipe, so that its end can be made from here.

    Reading a terminal or a pipe blocks a thread that nothing can interrupt; this thread may be left behind.
    """

    def __init__(self) -> None:
        self._source = os.dup(0)
        reading, self._sink = os.pipe()
        os.dup2(reading, 0)
        os.close(reading)
        self._open = threading.Lock()
        self._closed = False
        threading.Thread(target=self._copy, name="lycosa-stdin", daemon=True).start()

    def _copy(self) -> None:
        while piece := os.read(self._source, _PIECE):
            with self._open:
                if self._closed:
                    return
                view = memoryview(piece)
                while view:
                    view = view[os.write(self._sink, view) :]
        self.close()

    def close(self) -> None:
        """End the input. May be called again.

        Not while what was read waits for the server to take it; that server is ended otherwise.
        """
        if self._open.acquire(timeout=_TAKEN_WITHIN):
            if not self._closed:
                self._closed = True
                os.close(self._sink)
            self._open.release()
