"""`lycosa status`: the server, its memory, spaces, background steps and calls."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.table import Table

from lycosa.cli.command import Invocation, command
from lycosa.cli.output import bar, moment, plain, record, size, table
from lycosa.cli.session import Session, open_session

# An object of the JSON form.
_Shown = Mapping[str, Any]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "status", examples=["lycosa status", "lycosa status --json | jq .figures.memory"])(show)


async def show(run: Invocation) -> None:
    """The store's health, memory, spaces, background steps and calls since its start."""
    async with open_session(run.settings) as session:
        shown = plain(
            {
                "health": await session.services.system.health(),
                "figures": await session.services.system.figures(),
                "growth": await _growth(session),
                "tenant": session.identity.tenant,
                "customers": await session.services.customers.count(session.identity),
            }
        )
    figures = shown["figures"]
    run.output.show(
        shown,
        record(_server(run, shown["health"], shown["customers"])),
        "",
        _memory(figures["memory"]),
        *([_until_full(shown["growth"])] if shown["growth"]["seconds_to_full"] is not None else []),
        "",
        _spaces(figures["spaces"]),
        "",
        _steps(figures["steps"]),
        "",
        _procedures(figures["procedures"]),
    )


async def _growth(session: Session) -> dict[str, float | None]:
    """Growth of the memory (bytes a second) and seconds until it is full; None when not known or not so."""
    memory = await session.services.system.memory()
    return {"bytes_per_second": memory.growth, "seconds_to_full": memory.seconds_to_full}


def _until_full(growth: Mapping[str, float]) -> str:
    hours = growth["seconds_to_full"] / 3600
    return f"grows by {size(growth['bytes_per_second'])}/s: full in {hours:,.1f} hours at that rate"


def _server(run: Invocation, health: _Shown, customers: int) -> dict[str, object]:
    settings = run.settings
    host = settings.tarantool_host
    return {
        "store": f"Tarantool {health['tarantool']} at "
        f"{host if host.startswith('/') else f'{host}:{settings.tarantool_port}'}",
        "state": f"{health['status']}, {'writable' if health['writable'] else 'read-only'}",
        "up": f"{health['uptime']:,.0f} s, since {moment(health['time'] - health['uptime'])} UTC",
        "schema": str(health["schema"]),
        "data": str(settings.data.absolute()),
        "tenant": f"{settings.tenant}, customers: {customers:,}",
    }


def _memory(memory: Mapping[str, float]) -> Table:
    quota = memory["quota_bytes"]
    shares = [("quota", "quota_bytes"), ("rows and indexes", "arena_bytes"), ("of it rows", "item_bytes")]
    rows = [
        [label, size(memory[name]), f"{memory[name] / quota:.1%}", bar(memory[name], quota)]
        for label, name in shares
    ]
    rows.append(["Lua (outside the quota)", size(memory["lua_bytes"]), "", ""])
    return table(["memory", "bytes", "share", ""], rows, right=["bytes", "share"])


def _spaces(spaces: Sequence[_Shown]) -> Table:
    largest = max((space["bytes"] + space["index_bytes"] for space in spaces), default=0)
    rows = [
        [
            space["name"],
            space["rows"],
            size(space["bytes"]),
            size(space["index_bytes"]),
            bar(space["bytes"] + space["index_bytes"], largest, 16),
        ]
        for space in spaces
    ]
    return table(["space", "rows", "bytes", "index bytes", ""], rows, right=["rows", "bytes", "index bytes"])


def _steps(steps: Sequence[_Shown]) -> Table:
    rows = [
        [
            step["name"],
            step["runs"],
            step["failures"],
            _mean(step["seconds"], step["runs"]),
            f"{step['slowest'] * 1000:.2f}",
            f"{step['due_in']:.1f}",
            step["last_error"],
        ]
        for step in steps
    ]
    columns = ["step", "runs", "failures", "mean ms", "slowest ms", "due in s", "last error"]
    return table(columns, rows, right=columns[1:6])


def _procedures(procedures: Mapping[str, _Shown]) -> Table:
    slowest = max((called["slowest"] for called in procedures.values()), default=0)
    rows = [
        [
            name,
            called["calls"],
            called["errors"],
            _mean(called["seconds"], called["calls"]),
            f"{called['slowest'] * 1000:.2f}",
            bar(called["slowest"], slowest, 16),
        ]
        for name, called in sorted(procedures.items())
    ]
    columns = ["procedure", "calls", "errors", "mean ms", "slowest ms", ""]
    return table(columns, rows, right=columns[1:5])


def _mean(seconds: float, times: int) -> str:
    return f"{seconds / times * 1000:.3f}" if times else ""
