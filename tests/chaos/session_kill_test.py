"""Processes that end while messages wait: asked to, they lose none; killed, those of less than a second."""

import signal
import subprocess
import sys
import time

import pytest

from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.settings import Settings
from tests.chaos.session_appender import SESSIONS
from tests.conftest import Store

# Messages a second: they are gathered for 0.41 s.
RATE = 600
# What a kill may cost: the gathering and the write.
WINDOW = 1.0


def run(server: Store, tenant: str, ending: signal.Signals) -> tuple[list[float], float, str]:
    """When each message was taken, when the process was ended, and what it said."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.chaos.session_appender",
            str(server.socket),
            str(server.data),
            tenant,
            str(RATE),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    taken = [float(process.stdout.readline())]
    time.sleep(1.3)
    ended = time.time()
    process.send_signal(ending)
    printed, told = process.communicate(timeout=10)
    took = time.time() - ended
    assert took < 5.0
    assert process.returncode == (0 if ending == signal.SIGTERM else -ending)
    return taken + [float(line) for line in printed.splitlines() if "." in line], ended, told


async def stored(procedures: Procedures, identity: Identity) -> list[int]:
    """The numbers there are, of all sessions together; in each they stand in order and without a gap."""
    found = []
    for session in range(SESSIONS):
        own: list[int] = []
        more = True
        while more:
            page = await procedures.session_history(
                tenant=identity.tenant, id=f"s{session}", after=len(own), limit=1000
            )
            own += [int(message.content) for message in page.messages]
            more = page.more
        assert own == list(range(session, session + SESSIONS * len(own), SESSIONS))
        found += own
    return sorted(found)


async def test_asked_to_end_it_writes_everything(
    server: Store, procedures: Procedures, identity: Identity, settings: Settings
) -> None:
    taken, _, told = run(server, identity.tenant, signal.SIGTERM)
    assert len(taken) > RATE / 2
    assert await stored(procedures, identity) == list(range(len(taken)))
    appended, writes, lost = map(int, told.split())
    assert (appended, lost) == (len(taken), 0)
    assert appended / writes > 30


async def test_killed_it_loses_less_than_a_second(
    server: Store, procedures: Procedures, identity: Identity
) -> None:
    taken, ended, _ = run(server, identity.tenant, signal.SIGKILL)
    found = await stored(procedures, identity)
    # What is there is what was appended first, whole.
    assert found == list(range(len(found)))
    assert len(found) >= sum(1 for moment in taken if moment < ended - WINDOW)
    # Otherwise nothing was tested.
    if len(found) >= len(taken):
        pytest.fail("everything was written before the kill")
