"""Run the Python server alone, beside a store that something else runs: what the container does.

`lycosa up` runs both as a pair. SIGTERM and SIGINT let it finish what is in flight; then it exits with 0.
"""

import asyncio
import signal

from lycosa.rest.server import serve
from lycosa.settings import Settings


async def main() -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(Settings(), stop)


if __name__ == "__main__":
    asyncio.run(main())
