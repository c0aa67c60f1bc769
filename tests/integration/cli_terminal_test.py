"""The command at a terminal: colour, progress, and a question that waits for its answer."""

import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import ROOT, Store


def at_terminal(server: Store, tenant: str, *words: str, typed: bytes = b"") -> tuple[int, str]:
    """Run a command at a terminal of 80 columns; gives its exit status and what was seen."""
    master, slave = pty.openpty()
    environment = os.environ | {
        "LYCOSA_DATA": str(server.data),
        "TARANTOOL_HOST": str(server.socket),
        "LYCOSA_TENANT": tenant,
        "LYCOSA_LLM": "extractive",
        "PYTHONPATH": str(ROOT / "python"),
        "TERM": "xterm-256color",
        "COLUMNS": "80",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "lycosa.cli", *words],
        cwd=ROOT,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    os.write(master, typed)
    seen = b""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        seen += chunk
    os.close(master)
    return process.wait(10), seen.decode()


def test_an_import_draws_its_progress_and_tables_are_coloured(
    server: Store, tenant: str, tmp_path: Path
) -> None:
    path = tmp_path / "many.csv"
    rows = "".join(f"{number},Ромашка {number}\n" for number in range(20_000))
    path.write_text("external_id,name\n" + rows, encoding="utf-8")
    status, seen = at_terminal(server, tenant, "import", str(path))
    assert status == 0, seen
    assert "%" in seen
    assert "rows/s" in seen
    assert "20,000 rows in" in seen
    assert "\x1b[" in seen


def test_prose_is_wrapped_to_the_terminal_and_text_stays_text(server: Store, tenant: str) -> None:
    at_terminal(server, tenant, "import", "data/samples/customers.csv")
    status, seen = at_terminal(server, tenant, "customers", "get", "S-001")
    assert status == 0
    assert "Яндекс" in seen
    status, seen = at_terminal(server, tenant, "customers", "list")
    assert status == 0
    assert max(len(line) for line in re.sub("\x1b\\[[0-9;]*m", "", seen).splitlines()) <= 80


def test_a_deletion_waits_for_a_yes(server: Store, tenant: str) -> None:
    at_terminal(server, tenant, "import", "data/samples/customers.csv")
    status, seen = at_terminal(server, tenant, "customers", "delete", "S-001", typed=b"n\n")
    assert status == 130
    assert "Delete 1 customer(s)" in seen
    status, seen = at_terminal(server, tenant, "customers", "delete", "S-001", typed=b"y\n")
    assert (status, "deleted 1 of 1" in seen) == (0, True)
