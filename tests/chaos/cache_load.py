"""Far more in sets than a small store can hold, with everything else going on beside them."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

from lycosa.errors import LycosaError
from lycosa.procedures import Procedures

MEMORY_MB = 64
WRITERS = 64
# Of the values, in bytes: most are small, most bytes are in the large.
SIZES = (100, 300, 1000, 1000, 3000, 10_000)
KEYS = 50_000
TENANTS = ("large", "small")


@dataclass
class Pressed:
    """What came of it. `most` is the largest share of the budget that was ever in use."""

    set_bytes: int = 0
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    most: float = 0
    seconds: float = 0
    evicted: int = 0


async def press(
    procedures: Procedures, *, seconds: float, set_bytes: int, sizes: Sequence[int] = SIZES
) -> Pressed:
    """Write for so long and until so many bytes were sent, whichever is later, with other work beside."""
    pressed = Pressed()
    started = time.perf_counter()
    numbers = random.Random(7)

    def is_on() -> bool:
        return time.perf_counter() < started + seconds or pressed.set_bytes < set_bytes

    async def count(what: str, call: Awaitable[object]) -> None:
        try:
            await call
        except LycosaError as refusal:
            pressed.refused[f"{what}: {refusal.code}"] += 1
        else:
            pressed.done[what] += 1

    def key() -> str:
        # A few are asked for again and again.
        return f"k{int(KEYS ** numbers.random())}"

    async def write(number: int) -> None:
        tenant = TENANTS[number % 8 == 0]
        while is_on():
            value = b"\xfe" * numbers.choice(sizes)
            pressed.set_bytes += len(value)
            set_ = procedures.cache_set(tenant=tenant, key=key(), value=value, ttl=3600, tags=["load"])
            await count("sets", set_)

    async def watch() -> None:
        while is_on():
            figures = await procedures.cache_figures()
            pressed.most = max(pressed.most, figures.bytes / figures.budget)
            await asyncio.sleep(0.003)

    async def work() -> None:
        number = 0
        while is_on():
            number += 1
            rows = [
                {"external_id": f"c{(number * 10 + i) % 5000}", "name": f"Клиент {number}"} for i in range(10)
            ]
            await count("customers", procedures.customer_upsert(tenant="work", rows=rows))
            appended = procedures.request_append(
                tenant="work", id=f"r{number}", kind="analysis", status="done", question="q", answer="a" * 200
            )
            await count("requests", appended)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(write(number) for number in range(WRITERS)), watch(), work())
    pressed.seconds = time.perf_counter() - started
    pressed.evicted = (await procedures.cache_figures()).evicted
    return pressed
