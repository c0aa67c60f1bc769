"""Importing beside an event loop."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from lycosa.background_import import import_in_background
from tests.conftest import ROOT


async def test_the_module_is_given_and_a_fault_is_raised() -> None:
    assert (await import_in_background("json.tool")).__name__ == "json.tool"
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        await import_in_background("no_such_module_anywhere")


def test_the_end_of_the_process_does_not_wait_for_an_import(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(60)\n")
    (tmp_path / "program.py").write_text(
        "import asyncio\n"
        "from lycosa.background_import import import_in_background\n"
        "async def main():\n"
        "    task = asyncio.create_task(import_in_background('endless'))\n"
        "    await asyncio.sleep(0.2)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
    )
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")],
        env={"PYTHONPATH": f"{ROOT}/python:{tmp_path}"},
        capture_output=True,
        timeout=30,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"begun\n", b"")
    assert time.monotonic() - started < 30
