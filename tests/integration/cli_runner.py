"""Commands of one group, run in this process against the real store."""

import json
from collections.abc import Callable
from typing import Any

from typer.testing import CliRunner, Result

from lycosa.cli.main import app
from tests.conftest import Store

Run = Callable[..., Result]


def runner(group: str, server: Store, tenant: str) -> Run:
    """Runs `lycosa <group> ...` for the tenant. Raises when the exit status is not the expected one."""

    def invoke(*words: str, status: int = 0, given: str | bytes | None = None) -> Result:
        environment = {
            "LYCOSA_DATA": str(server.data),
            "TARANTOOL_HOST": str(server.socket),
            "LYCOSA_TENANT": tenant,
        }
        result = CliRunner(env=environment).invoke(app, [group, *words], input=given, prog_name="lycosa")
        assert result.exit_code == status, result.output
        return result

    return invoke


def answer(result: Result) -> Any:
    """What a command printed with --json."""
    return json.loads(result.stdout)
