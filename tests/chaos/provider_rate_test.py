"""Several processes together keep one provider's rate, attempts made again included (C1)."""

import asyncio
import random
import sys

import pytest

from lycosa.identity import Identity
from lycosa.procedures import Procedures
from lycosa.providers.registry import limits_of
from lycosa.services.quotas import QuotaService
from tests.conftest import ROOT, Store
from tests.standins.loopback import Fault
from tests.standins.perplexity import Perplexity

SECONDS = 2.0
# What Perplexity allows a key in a second, and what the settings say by default.
ALLOWED = 50


@pytest.mark.alone
async def test_four_processes_never_pass_the_rate_of_a_provider(
    server: Store, procedures: Procedures, identity: Identity
) -> None:
    quotas = QuotaService(procedures)
    for limit in limits_of(server.settings(perplexity_api_key="pplx-a")):
        await quotas.define(identity, **limit._asdict())
    async with Perplexity() as standin:
        chance = random.Random(5)
        given = [str(server.data), str(server.socket), standin.base_url, identity.tenant, str(SECONDS)]
        programs = [
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.chaos.provider_rate_asker",
                *given,
                cwd=ROOT,
                env={"PYTHONPATH": f"{ROOT}/python", "LYCOSA_LOG_LEVEL": "error"},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            for _ in range(4)
        ]
        for program in programs:
            assert program.stdout is not None
            assert await program.stdout.readline() == b"ready\n"
        # From here on no process takes the others' time with what it imports.
        standin.requests.clear()
        standin.plan(*(Fault(status=503) if chance.random() < 0.05 else None for _ in range(1_000)))
        ended = await asyncio.gather(*(program.communicate(b"go\n") for program in programs))
        # Above it stand lines of the log, one a retry.
        counts = [int(output.split()[-1]) for output, _ in ended]
        arrivals = sorted(request.at for request in standin.requests)
        most = max(sum(at <= other < at + 1 for other in arrivals) for at in arrivals)
        assert most <= ALLOWED
        # It was the limit that held them, and it let them have more than half of what is allowed.
        assert min(counts) > 0
        assert sum(counts) >= 0.5 * ALLOWED * SECONDS
        assert len(arrivals) > sum(counts)
