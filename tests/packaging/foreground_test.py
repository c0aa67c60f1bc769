"""`make` around a running pair: Ctrl-C stops the pair in good order and make itself ends with 0."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Stands for the pair: says it is up, stops in good order on a signal, and says which.
PAIR = """
import signal, sys, time
stopped = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda received, frame: stopped.append(received))
print("up", flush=True)
while not stopped:
    time.sleep(0.02)
time.sleep(0.2)
print("stopped once" if len(stopped) == 1 else "stopped again", flush=True)
"""


def make_around(folder: Path) -> list[str]:
    (folder / "pair.py").write_text(PAIR, "utf-8")
    recipe = f"@exec {sys.executable} {ROOT}/deploy/foreground.py {sys.executable} {folder}/pair.py"
    (folder / "Makefile").write_text(f"run:\n\t{recipe}\n", "utf-8")
    return ["make", "-C", str(folder), "--no-print-directory", "run"]


def read_until(terminal: int, marker: bytes, seconds: float = 15) -> bytes:
    """Read a terminal until the marker shows; fails when it does not."""
    seen, deadline = b"", time.monotonic() + seconds
    while marker not in seen:
        assert time.monotonic() < deadline, seen
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            piece = b""
        assert piece, seen
        seen += piece
    return seen


def test_ctrl_c_in_a_terminal_ends_make_with_0(tmp_path: Path) -> None:
    command = " ".join(make_around(tmp_path))
    pid, terminal = pty.fork()
    if pid == 0:
        # What follows make reads the terminal: it was given back.
        os.execvp("bash", ["bash", "-c", f"{command}; echo status $?; read -r line; echo read $line"])
    try:
        read_until(terminal, b"up")
        os.write(terminal, b"\x1a\x03")  # Ctrl-Z is ignored, Ctrl-C stops
        ended = read_until(terminal, b"status ")
        os.write(terminal, b"hello\n")
        ended += read_until(terminal, b"read ")
        assert b"stopped once" in ended
        assert b"status 0" in ended
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


def test_sigterm_of_make_stops_the_pair_before_make_ends(tmp_path: Path) -> None:
    make = subprocess.Popen(
        make_around(tmp_path), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert make.stdout
    assert make.stdout.readline() == "up\n"
    make.terminate()
    rest, _ = make.communicate(timeout=15)
    assert rest == "stopped once\n"
    # GNU make passes the signal on, waits, and then reports it as its own end; no makefile can change that.
    assert make.returncode == -signal.SIGTERM


def test_without_a_terminal_the_command_takes_the_wrappers_place(tmp_path: Path) -> None:
    (tmp_path / "pair.py").write_text(PAIR, "utf-8")
    wrapped = [sys.executable, str(ROOT / "deploy/foreground.py"), sys.executable, str(tmp_path / "pair.py")]
    pair = subprocess.Popen(wrapped, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    assert pair.stdout
    assert pair.stdout.readline() == "up\n"
    pair.terminate()
    rest, _ = pair.communicate(timeout=15)
    assert (rest, pair.returncode) == ("stopped once\n", 0)


def test_a_command_that_is_not_there() -> None:
    wrapped = [sys.executable, str(ROOT / "deploy/foreground.py"), "/nowhere/lycosa"]
    ended = subprocess.run(wrapped, capture_output=True, text=True, timeout=15, stdin=subprocess.DEVNULL)
    assert ended.returncode == 127
    assert ended.stderr == "/nowhere/lycosa: No such file or directory\n"
