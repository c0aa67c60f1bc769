"""Servers and those who ask them on processors of their own, as on machines of their own.

The client of an open loop keeps a processor busy by waiting for the next call's due time. Left to itself, the kernel
puts it and the server's threads onto one processor now and then, for a slice of milliseconds: latencies would be those
of its scheduler. Closed loops wait for answers and leave the processors to the kernel.

A process inherits its place from the one that starts it.

A processor without work goes to sleep, and a virtual one takes 25 us to wake: as long as the server takes for six sets
of the cache. The threads of a closed loop wake one another all the time, and how fast processors wake would be
measured. So the benchmark of gets and sets keeps them awake for all sides alike, where the system lets it.

On a virtual machine a round in which more than MOST_STOLEN of the processors' time was stolen says more of its
neighbours than of the server: it is repeated, up to MOST_ROUNDS in all, and the least disturbed ones are judged.
"""

import contextlib
import os
import struct
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

MOST_STOLEN = 0.02
MOST_ROUNDS = 15


class Round(Protocol):
    """What was measured in a round."""

    @property
    def stolen(self) -> float:
        """The part of the processors' time that a hypervisor gave to others, 0 to 1."""


R = TypeVar("R", bound=Round)


def of_servers() -> None:
    """What is started from now on runs on all processors but the last."""
    _run_on(slice(None, -1))


def of_clients() -> None:
    """This process, and what it starts from now on, runs on the last processor."""
    _run_on(slice(-1, None))


@contextlib.contextmanager
def after_all_others() -> Iterator[None]:
    """This thread runs meanwhile when no other wants the processor (SCHED_IDLE): for a client that stands for many
    machines, beside another whose latencies are measured. Elsewhere than on Linux nothing changes.
    """
    if not hasattr(os, "SCHED_IDLE"):
        yield
        return
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """Processors without work wait awake meanwhile (Linux' PM QoS, for privileged users). Says whether they do."""
    with contextlib.ExitStack() as stack:
        try:
            device = stack.enter_context(Path("/dev/cpu_dma_latency").open("wb", buffering=0))
            # The longest time to wake that is allowed, in us, for as long as the device is open.
            device.write(struct.pack("i", 0))
            print("idle processors are kept awake, for all sides alike", flush=True)
        except OSError as problem:
            print(f"idle processors may sleep, for all sides alike ({problem.strerror})", flush=True)
        yield


class Stolen:
    """Watches, from when it is made, what a hypervisor gives to others."""

    def __init__(self) -> None:
        self._seconds = stolen_seconds()
        self._started = time.perf_counter()

    def share(self) -> float:
        """The part of the processors' time that was stolen so far, 0 to 1."""
        whole = (time.perf_counter() - self._started) * (os.cpu_count() or 1)
        return (stolen_seconds() - self._seconds) / whole


def enough(rounds: Sequence[Round], wanted: int) -> bool:
    """Whether no more rounds are needed to judge `wanted` of them."""
    calm = sum(one.stolen <= MOST_STOLEN for one in rounds)
    return calm >= wanted or len(rounds) >= (MOST_ROUNDS if wanted > 1 else 1)


def least_disturbed(rounds: Sequence[R], count: int) -> list[R]:
    """The `count` rounds of which least was stolen."""
    return sorted(rounds, key=lambda one: one.stolen)[:count]


async def calmest(measure: Callable[[], Awaitable[R]], most: int) -> R:
    """The first measurement that was not disturbed, or the least disturbed of `most`."""
    rounds: list[R] = []
    while not rounds or (rounds[-1].stolen > MOST_STOLEN and len(rounds) < most):
        rounds.append(await measure())
    return least_disturbed(rounds, 1)[0]


def stolen_seconds() -> float:
    """Processor time that a hypervisor gave to somebody else though it was wanted here, since the start; 0 where nobody
    counts it.
    """
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    # cpu user nice system idle iowait irq softirq steal ...
    return int(stat.read_text().split(maxsplit=9)[8]) / os.sysconf("SC_CLK_TCK")


def _run_on(part: slice) -> None:
    count = os.cpu_count() or 1
    # Elsewhere than on Linux, and with a single processor, everything stays where it is.
    if count > 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(count)[part])
