"""One of several processes that ask Perplexity as fast as the store's quota lets them.

`python -m tests.chaos.provider_rate_asker DATA SOCKET ADDRESS TENANT SECONDS` makes one search, says that it is ready,
waits for a line, and prints how many searches it made from then on.
"""

import asyncio
import contextlib
import sys
import time
from pathlib import Path

from lycosa.errors import Exhausted
from lycosa.identity import Identity
from lycosa.procedures import Procedures, connect
from lycosa.providers.findings import ProviderFailure, SearchOptions
from lycosa.providers.registry import providers_of
from lycosa.services.quotas import QuotaService
from lycosa.settings import Settings


async def ask(data: str, socket: str, address: str, tenant: str, seconds: float) -> int:
    """Ask with ten tasks until the time is over; gives how often."""
    settings = Settings(
        _env_file=None,
        data=Path(data),
        tarantool_host=socket,
        perplexity_api_key="pplx-a",
        perplexity_base_url=address,
    )
    [provider] = providers_of(settings)
    asked = 0
    async with connect(settings) as client:
        quotas, identity = QuotaService(Procedures(client)), Identity(tenant=tenant)

        await provider.search("Warm", SearchOptions(max_results=1), 10)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        until = time.monotonic() + seconds

        async def one() -> None:
            nonlocal asked
            while time.monotonic() < until:
                try:
                    await quotas.take(identity, {"perplexity.k1.rate": 1})
                except Exhausted as refused:
                    await asyncio.sleep(refused.retry_after or 0.01)
                    continue
                asked += 1
                with contextlib.suppress(ProviderFailure):
                    await provider.search("Acme", SearchOptions(max_results=1), 2)

        await asyncio.gather(*(one() for _ in range(10)))
    await provider.close()
    return asked


if __name__ == "__main__":
    given = sys.argv[1:]
    print(asyncio.run(ask(given[0], given[1], given[2], given[3], float(given[4]))))
