"""How a command is declared: its own parameters, plus --tenant, --data and --json, plus what happens to errors.

An error of `lycosa.errors` ends the command with one line on standard error and the exit status of its kind:
invalid (wrong usage too) 2, denied 3, not found 4, conflict 5, exhausted 6, unavailable 7, timeout 8, ours 70.
Ctrl-C ends it with 130.
"""

import asyncio
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop
from pydantic import ValidationError
from typer.core import TyperGroup

from lycosa.cli.output import Output
from lycosa.errors import Internal, Invalid, LycosaError
from lycosa.settings import Settings

INTERRUPTED = 130

_PANEL = "Every command"

Tenant = Annotated[
    str | None,
    typer.Option("--tenant", help="Whose data; LYCOSA_TENANT when absent.", rich_help_panel=_PANEL),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="The store's directory; LYCOSA_DATA when absent.", rich_help_panel=_PANEL),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON, streams as one object a line.", rich_help_panel=_PANEL),
]


@dataclass(frozen=True, slots=True)
class Shared:
    """The options of every command, which may also stand before its name."""

    tenant: str | None = None
    data: Path | None = None
    json: bool = False

    def or_else(self, other: "Shared") -> "Shared":
        """These options, and the other's where these say nothing."""
        return Shared(self.tenant or other.tenant, self.data or other.data, self.json or other.json)


@dataclass(frozen=True, slots=True)
class Invocation:
    """What every command works with."""

    settings: Settings
    output: Output


Command = TypeVar("Command", bound=Callable[..., Any])


def command(app: typer.Typer, name: str, *, examples: Sequence[str] = ()) -> Callable[[Command], Command]:
    """Register a function as a command.

    Its first parameter is the Invocation, the others are Typer's. It may be a coroutine function. `examples` end the
    help.
    """

    def register(function: Command) -> Command:
        signature = inspect.signature(function, eval_str=True)
        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in signature.parameters.values()
        ]

        def invoke(
            context: typer.Context, tenant: str | None, data: Path | None, as_json: bool, **own: Any
        ) -> None:
            given = Shared(tenant, data, as_json).or_else(context.obj or Shared())
            status = _run(function, given, own)
            if status:
                raise typer.Exit(status)

        shared = [
            inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
            inspect.Parameter("tenant", inspect.Parameter.KEYWORD_ONLY, annotation=Tenant, default=None),
            inspect.Parameter("data", inspect.Parameter.KEYWORD_ONLY, annotation=Data, default=None),
            inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, annotation=Json, default=False),
        ]
        invoke.__signature__ = inspect.Signature([*own[1:], *shared])  # type: ignore[attr-defined]
        invoke.__doc__ = function.__doc__
        epilog = "\n\n".join(["Examples:", *examples]) if examples else None
        app.command(name, epilog=epilog, no_args_is_help=False)(invoke)
        return function

    return register


def _run(function: Callable[..., Any], given: Shared, own: dict[str, Any]) -> int:
    """Call the command and turn whatever it raises into an exit status."""
    output = Output(json=given.json)
    try:
        result = function(Invocation(load_settings(given), output), **own)
        if inspect.iscoroutine(result):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(result)
    except LycosaError as problem:
        output.error(problem)
        return problem.exit_status
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has left, as `head` does. Nothing more can be written, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as problem:  # a fault of ours: one line, and the trace for who asks for it
        if os.environ.get("LYCOSA_LOG_LEVEL") == "debug":
            traceback.print_exc()
        fault = Internal(
            f"{type(problem).__name__}: {problem} (LYCOSA_LOG_LEVEL=debug shows where)", code="INTERNAL"
        )
        output.error(fault)
        return fault.exit_status
    return 0


def load_settings(given: Shared) -> Settings:
    """The settings with the command line's over the environment's.

    Raises Invalid, naming the variable or option, when one is out of bounds.
    """
    over: dict[str, Any] = {}
    if given.data is not None:
        over["data"] = given.data
    try:
        settings = Settings(**over)
        if given.tenant is None:
            return settings
        over["tenant"] = given.tenant
        return Settings(**over).on_account_of(settings.tenant)
    except ValidationError as problem:
        first = problem.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "settings"
        name = f"--{field}" if field in over else field if field.isupper() else f"LYCOSA_{field.upper()}"
        raise Invalid(
            f"{name}: {first['msg']}, not {str(first['input'])[:100]!r}",
            code="SETTING_INVALID",
            details={"argument": name},
        ) from problem


class Root(TyperGroup):
    """The whole command: wrong usage is said in the form of every other error."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run it. Ends with SystemExit unless told otherwise by `standalone_mode`."""
        words = list(sys.argv[1:] if args is None else args)
        try:
            status = super().main(words, prog_name, complete_var, False, windows_expand_args, **extra)
        except typer.Abort:
            status = INTERRUPTED
        except Exception as problem:
            # Typer's own errors of usage are the ones that can format themselves; it has no public base class.
            wording = getattr(problem, "format_message", None)
            if wording is None:
                raise
            context = getattr(problem, "ctx", None)
            path = context.command_path if context is not None else "lycosa"
            usage = Invalid(f"{' '.join(wording().split())} (see `{path} --help`)", code="USAGE")
            Output(json="--json" in words).error(usage)
            status = usage.exit_status
        if standalone_mode:
            sys.exit(status if isinstance(status, int) else 0)
        return status
