"""Importing beside an event loop."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lycosa.background_import import import_in_background
from tests.conftest import ROOT

PROGRAM = """
import asyncio, sys
from lycosa.background_import import import_in_background

async def main():
    task = asyncio.create_task(import_in_background("long"))
    while "long" not in sys.modules:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
    print(task.cancelled(), flush=True)

asyncio.run(main())
print("long" in sys.modules)
"""


async def test_the_module_is_given_and_a_fault_is_raised() -> None:
    assert (await import_in_background("json.tool")).__name__ == "json.tool"
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        await import_in_background("no_such_module_anywhere")


def test_an_import_that_is_cancelled_ends_at_its_next_module(tmp_path: Path) -> None:
    # Each takes a while, and asks for the next one in the way of libraries that can do without it.
    (tmp_path / "long.py").write_text(
        "import importlib, time\n"
        "for number in range(600):\n"
        "    time.sleep(0.1)\n"
        "    try:\n"
        "        importlib.import_module(f'part_{number}')\n"
        "    except Exception:\n"
        "        pass\n"
    )
    (tmp_path / "program.py").write_text(PROGRAM)
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")],
        env=os.environ | {"PYTHONPATH": f"{ROOT}/python:{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "True\nFalse\n", "")
    assert time.monotonic() - started < 50
