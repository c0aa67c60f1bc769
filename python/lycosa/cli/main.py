"""The `lycosa` command."""

from pathlib import Path
from typing import Annotated

import typer

from lycosa import __version__
from lycosa.cli import (
    analyze,
    bench,
    cache,
    console,
    customers,
    documents,
    importing,
    keys,
    mcp,
    providers,
    quotas,
    requests,
    search,
    status,
    up,
)
from lycosa.cli.command import Data, Json, Root, Shared, Tenant

app = typer.Typer(
    name="lycosa",
    cls=Root,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Customer intelligence that lives in Tarantool: customers, documents, sourced analyses.",
    epilog="Start with `lycosa up --demo`. Settings come from the environment and .env; see docs/operations.md.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lycosa {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    tenant: Tenant = None,
    data: Data = None,
    as_json: Json = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Keep what stands before the command's name for the command."""
    context.obj = Shared(tenant, Path(data) if data else None, as_json)


for part in (
    up,
    status,
    importing,
    analyze,
    search,
    customers,
    documents,
    requests,
    cache,
    quotas,
    providers,
    keys,
    mcp,
    console,
    bench,
):
    part.register(app)
