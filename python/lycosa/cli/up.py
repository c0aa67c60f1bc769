"""`lycosa up`: Tarantool and the Python server as one supervised pair, with a demonstration on request."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated

import typer

from lycosa import startup
from lycosa.cli.analyze import stream
from lycosa.cli.command import Invocation, command
from lycosa.cli.importing import Kind, Refused, chunks_of, load
from lycosa.cli.output import record
from lycosa.cli.session import Session, open_session
from lycosa.errors import LycosaError, NotFound
from lycosa.settings import Settings
from lycosa.supervisor import Store, Supervisor
from lycosa.telemetry import configure_logging

# What the demonstration analyzes, of data/samples: texts in both languages and a note with wishes. In English, which
# the offline model writes.
SAMPLE_CUSTOMER = "S-015"
_SAMPLE_LANGUAGE = "en"

_STILL_STARTING_SECONDS = 3.0
_INDEX_SECONDS = 5.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(
        app,
        "up",
        examples=[
            "lycosa up",
            "lycosa up --demo",
            "LYCOSA_HTTP_PORT=8080 TARANTOOL_PORT=3302 lycosa up --data /srv/lycosa",
        ],
    )(up)


async def up(
    run: Invocation,
    demo: Annotated[
        bool,
        typer.Option("--demo", help="Load data/samples where the store is empty and stream one analysis."),
    ] = False,
) -> None:
    """Start Tarantool and the server, and stay until Ctrl-C or SIGTERM.

    A Tarantool that dies is started again, at most five times a minute. Both stop within 5 s.
    """
    began = time.monotonic()
    settings = run.settings
    tarantool = startup.find_tarantool(os.environ)
    home = startup.find_home(os.environ)
    startup.check(settings)
    from lycosa.rest.server import (
        require_safe,
        serve,
    )  # takes a second: after what can be refused at once

    require_safe(settings)
    configure_logging(settings.log_level, server_log(settings))
    store = Store(settings, tarantool, home)

    async def ready() -> None:
        _announce(run, store, time.monotonic() - began)
        if demo:
            await _demonstrate(run, home)

    supervisor = Supervisor(
        store, lambda stop, ready: serve(settings, stop, ready), lambda line: _say(run, line)
    )
    pair = asyncio.create_task(supervisor.run(ready), name="pair")
    _stop_on_signals(pair)
    hint = asyncio.create_task(_hint(run, store))
    try:
        await pair
    except asyncio.CancelledError:
        _say(run, "stopped; all data is kept")
    finally:
        hint.cancel()


def server_log(settings: Settings) -> Path:
    """Where the Python server's log goes, one JSON object a line, beside Tarantool's."""
    return settings.data.absolute() / "server.log"


def _stop_on_signals(pair: asyncio.Task[None]) -> None:
    """The first SIGINT, SIGTERM or SIGHUP stops the pair in order; what comes after it changes nothing."""
    told = False

    def tell() -> None:
        nonlocal told
        if not told:
            told = True
            pair.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, tell)


def _say(run: Invocation, line: str) -> None:
    if run.output.json:
        run.output.document({"event": "log", "line": line})
    else:
        run.output.note(line)


async def _hint(run: Invocation, store: Store) -> None:
    """A store with much data takes its time; say so once instead of being silent."""
    await asyncio.sleep(_STILL_STARTING_SECONDS)
    if not store.ready:
        _say(run, f"Tarantool is still reading its data; its log is {store.log}")


def _program() -> str:
    """This command as one can type it here: by its path when it was started so, as `make run` does."""
    return sys.argv[0] if sys.argv[0].startswith(".venv/") else "lycosa"


def _announce(run: Invocation, store: Store, seconds: float) -> None:
    settings = run.settings
    host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
    address = f"http://{host}:{settings.http_port}"
    places = {
        "rest": f"{address}/v1",
        "mcp": f"{address}/mcp",
        "documentation": f"{address}/docs",
        "metrics": f"{address}/metrics",
        "console": f"{_program()} console"
        + ("" if settings.data == Path("var") else f" --data {settings.data}"),
        "logs": f"{store.log}, {server_log(settings)}",
    }
    run.output.show(
        {"event": "ready", "seconds": round(seconds, 3), **places},
        f"Lycosa is ready ({seconds:.1f} s). Ctrl-C stops it.",
        record({name.upper() if name in ("rest", "mcp") else name: value for name, value in places.items()}),
    )


async def _demonstrate(run: Invocation, home: Path) -> None:
    """Samples into an empty store, then one analysis. Its failure is said and does not end the pair."""
    samples = home / "data" / "samples"
    try:
        async with open_session(run.settings, quiet=False) as session:
            if not await session.services.customers.count(session.identity):
                await _load(run, session, samples / "customers.csv", Kind.customers)
            if not (await session.services.documents.find(session.identity, limit=1)).rows:
                await _load(run, session, samples / "documents.ndjson", Kind.documents)
                await _indexed(session)
            customer = await _shown_customer(session)
            if not run.output.json:
                run.output.print(f"\n$ lycosa analyze {customer} --language {_SAMPLE_LANGUAGE}")
            await stream(run, session, customer, language=_SAMPLE_LANGUAGE)
    except LycosaError as problem:
        run.output.error(problem)


async def _shown_customer(session: Session) -> str:
    """The sample, or the first customer of a store that holds others."""
    try:
        return (await session.services.customers.locate(session.identity, SAMPLE_CUSTOMER)).id
    except NotFound:
        page = await session.services.customers.find(session.identity, "all", limit=1)
        return page.rows[0].id if page.rows else SAMPLE_CUSTOMER


async def _indexed(session: Session) -> None:
    """Give the background step its moment, so that the analysis finds what was just loaded."""
    until = time.monotonic() + _INDEX_SECONDS
    while time.monotonic() < until:
        if not (await session.services.documents.figures(session.identity)).waiting:
            return
        await asyncio.sleep(0.02)


async def _load(run: Invocation, session: Session, path: Path, kind: Kind) -> None:
    chunks: AsyncGenerator[bytes, None] = chunks_of(path)
    with Refused(run.settings.data.absolute() / f"{path.name}.bad.ndjson") as refused:
        summary = await load(
            run, session, chunks, kind, "csv" if path.suffix == ".csv" else "ndjson", refused
        )
    _say(run, f"loaded {summary.rows} {kind.value} from {path} in {summary.seconds:.2f} s")
