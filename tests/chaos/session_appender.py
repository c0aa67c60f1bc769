"""A process that appends messages to sessions at a steady rate: its end is what session_kill_test is about.

python -m tests.chaos.session_appender <socket> <data> <tenant> <rate>: prints the unix time at which each message was
taken, one a line, in the order of appending. SIGTERM ends it.
"""

import asyncio
import signal
import sys
import time
from pathlib import Path

from lycosa.identity import Identity
from lycosa.procedures import Procedures, connect
from lycosa.services.session_messages import Message
from lycosa.services.sessions import SessionService
from lycosa.settings import Settings

SESSIONS = 4


async def main(socket: str, data: str, tenant: str, rate: int) -> None:
    """Append until told to end, then close."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    settings = Settings(_env_file=None, data=Path(data), tarantool_host=socket)
    identity = Identity(tenant)
    async with connect(settings) as client:
        sessions = SessionService(Procedures(client), settings)
        began, number = time.monotonic(), 0
        while not ended.is_set():
            while number < (time.monotonic() - began) * rate:
                await sessions.append(identity, f"s{number % SESSIONS}", [Message("user", str(number))])
                sys.stdout.write(f"{time.time()}\n")
                number += 1
            sys.stdout.flush()
            await asyncio.sleep(0.005)
        await sessions.aclose()
        figures = sessions.figures()
        sys.stderr.write(f"{figures.appended} {figures.writes} {figures.lost}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
