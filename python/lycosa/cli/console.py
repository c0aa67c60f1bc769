"""`lycosa console`: the admin console of the running store."""

import os
import socket
import sys

import typer

from lycosa import startup
from lycosa.cli.command import Invocation, command
from lycosa.errors import Invalid, Unavailable


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "console", examples=["lycosa console", 'echo "lycosa.help()" | lycosa console'])(enter)


def enter(run: Invocation) -> None:
    """Open the store's admin console: lycosa.help(), lycosa.status(), every procedure.

    Becomes Tarantool's own client, so its exit status is that client's.
    """
    if run.output.json:
        raise Invalid("the console has no JSON form; see `lycosa status --json`", code="USAGE")
    tarantool = startup.find_tarantool(os.environ)
    home = startup.find_home(os.environ)
    address = run.settings.console_socket.absolute()
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.connect(str(address))
    except OSError as problem:
        raise Unavailable(
            f"no console at {address}; start the store with `lycosa up`, or name its directory with --data",
            code="NOT_CONNECTED",
        ) from problem
    sys.stdout.flush()
    os.execv(tarantool, [str(tarantool), str(home / "deploy" / "console.lua"), str(address)])
