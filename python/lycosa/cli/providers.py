"""`lycosa providers`: list, on, off, order."""

from collections.abc import Sequence
from typing import Annotated

import typer

from lycosa.cli.command import Invocation, command
from lycosa.cli.output import moment, table
from lycosa.cli.session import open_session
from lycosa.services.provider_states import ProviderState

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as tavily, or tavily#2 for its second key.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True, help="Providers of outside knowledge: how they are, who is asked first."
    )
    app.add_typer(group, name="providers")
    command(group, "list", examples=["lycosa providers list", "lycosa providers list --json"])(find)
    command(group, "on", examples=["lycosa providers on tavily"])(switch_on)
    command(group, "off", examples=["lycosa providers off perplexity"])(switch_off)
    command(group, "order", examples=["lycosa providers order perplexity tavily"])(order)


async def find(run: Invocation) -> None:
    """State, breaker, quotas, last error and what was spent this month, in the order in which they are asked."""
    async with open_session(run.settings) as session:
        _show(run, await session.services.providers.find(session.identity))


async def switch_on(run: Invocation, name: Name) -> None:
    """Ask a provider again: forget what blocked it and close its breaker."""
    await _switch(run, name, enabled=True)


async def switch_off(run: Invocation, name: Name) -> None:
    """Ask a provider no more, in no process and for no tenant, until it is switched on."""
    await _switch(run, name, enabled=False)


async def _switch(run: Invocation, name: str, *, enabled: bool) -> None:
    async with open_session(run.settings) as session:
        changed = await session.services.providers.change(session.identity, name, enabled=enabled)
    run.output.show(changed, f"{changed.name} is {changed.state.replace('_', ' ')}")


async def order(
    run: Invocation,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The first is asked first.")],
) -> None:
    """Ask providers in this order; those that are not named follow as they were."""
    async with open_session(run.settings) as session:
        _show(run, await session.services.providers.order(session.identity, names))


def _show(run: Invocation, states: Sequence[ProviderState]) -> None:
    rows = [
        [
            state.name,
            state.state.replace("_", " "),
            moment(state.retry_at),
            state.calls,
            state.errors,
            state.spent_this_month or "-",
            ", ".join(f"{one.left} of {one.limit} {one.unit}" for one in state.quotas if one.window) or "-",
            "" if state.drift is None else f"{state.drift.drift:+d}",
            state.last_error,
        ]
        for state in states
    ]
    columns = [
        "provider",
        "state",
        "until (UTC)",
        "calls",
        "errors",
        "this month",
        "left",
        "drift",
        "last error",
    ]
    run.output.show(
        {"rows": list(states)}, table(columns, rows, right=["calls", "errors", "this month", "left", "drift"])
    )
