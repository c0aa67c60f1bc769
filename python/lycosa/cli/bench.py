"""`lycosa bench`: list and run the benchmarks of the checkout."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from lycosa import startup
from lycosa.cli.command import Invocation, command
from lycosa.cli.output import table
from lycosa.errors import Internal, NotFound


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "bench", examples=["lycosa bench --list", "lycosa bench lookups --quick"])(bench)


def scripts(home: Path) -> dict[str, str]:
    """Name -> first line of the docstring of every benchmark of the checkout."""
    found = {}
    for path in sorted((home / "benchmarks").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if not path.name.startswith("_") and "__main__" in text:
            found[path.stem] = text.lstrip().removeprefix('"""').split("\n", 1)[0].removesuffix('"""')
    return found


def bench(
    run: Invocation,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which; all when absent.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Only say which there are.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Small and short, to see that they run.")] = False,
) -> None:
    """Run benchmarks, each against a store of its own; one row a figure with its goal and ok or MISS."""
    home = startup.find_home(os.environ)
    found = scripts(home)
    if listed:
        run.output.show(found, table(["benchmark", "what it measures"], found.items()))
        return
    for name in names or found:
        if name not in found:
            raise NotFound(
                f"no benchmark {name}; there are {', '.join(found) or 'none'}", code="BENCHMARK_NOT_FOUND"
            )
    for name in names or found:
        _run_one(run, home, name, quick)


def _run_one(run: Invocation, home: Path, name: str, quick: bool) -> None:
    command_line = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if quick else [])]
    paths = [str(home), str(home / "python"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with subprocess.Popen(
        command_line, cwd=home, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if run.output.json:
                run.output.document({"benchmark": name, "line": line.rstrip("\n")})
            else:
                run.output.print(line.rstrip("\n"))
    if process.returncode:
        raise Internal(
            f"benchmark {name} could not measure (status {process.returncode})", code="BENCHMARK_FAILED"
        )
