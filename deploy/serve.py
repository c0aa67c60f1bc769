"""Run the Python server alone, beside a store that something else runs: what the container does.

`lycosa up` runs both as a pair. SIGTERM and SIGINT let it finish what is in flight; then it exits with 0. Logs go to
standard error. What stops it from starting is one line, with the exit status of its kind.
"""

import asyncio
import signal
import sys

import uvloop
from pydantic import ValidationError

from lycosa.errors import LycosaError
from lycosa.rest.server import serve
from lycosa.settings import Settings
from lycosa.telemetry import configure_logging


async def run(settings: Settings) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop)


def main() -> int:
    """Read the settings, serve, and return the exit status."""
    try:
        settings = Settings()
        configure_logging(settings.log_level)
        uvloop.run(run(settings))
    except ValidationError as problem:
        first = problem.errors()[0]
        print(f"error: setting {'.'.join(map(str, first['loc']))}: {first['msg']}", file=sys.stderr)
        return 2
    except LycosaError as problem:
        print(f"error: {problem.code}: {problem}", file=sys.stderr)
        return problem.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
