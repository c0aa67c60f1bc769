"""deploy/serve.py, the container's command: serves without a store, says what is wrong, stops with 0."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def serve(folder: Path, **settings: str) -> subprocess.Popen[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "LYCOSA_DATA": str(folder),
        "LYCOSA_PASSWORD": "secret",
        **settings,
    }
    environment |= {"PYTHONPATH": str(ROOT / "python")}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "deploy/serve.py")],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def answer(server: subprocess.Popen[str], port: int, path: str, seconds: float = 20) -> httpx.Response:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5)
        except httpx.TransportError:
            assert server.poll() is None, server.stderr and server.stderr.read()
            assert time.monotonic() < deadline, "it does not answer"
            time.sleep(0.05)


@pytest.mark.seconds
def test_it_lives_without_a_store_is_not_ready_and_stops_with_0(tmp_path: Path) -> None:
    port = free_port()
    server = serve(tmp_path, LYCOSA_HTTP_PORT=str(port), TARANTOOL_PORT=str(free_port()))
    try:
        assert answer(server, port, "/healthz").status_code == 200
        assert answer(server, port, "/readyz").status_code == 503  # what the container's HEALTHCHECK asks
    finally:
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=10)
    assert server.returncode == 0
    assert time.monotonic() - began < 5


def test_a_wrong_setting_is_one_line(tmp_path: Path) -> None:
    server = serve(tmp_path, LYCOSA_HTTP_PORT="99999")
    _, said = server.communicate(timeout=20)
    assert server.returncode == 2
    assert said.count("\n") == 1
    assert "http_port" in said


def test_an_open_address_is_refused_in_one_line(tmp_path: Path) -> None:
    server = serve(tmp_path, LYCOSA_HTTP_HOST="0.0.0.0", LYCOSA_HTTP_PORT=str(free_port()))
    _, said = server.communicate(timeout=20)
    assert server.returncode == 3
    assert said.startswith("error: REMOTE_REFUSED: ")
