"""Servers and those who ask them on processors of their own, as on machines of their own.

The client of an open loop keeps a processor busy by waiting for the next call's due time. Left to itself, the kernel
puts it and the server's threads onto one processor now and then, for a slice of milliseconds: latencies would be those
of its scheduler. Closed loops wait for answers and leave the processors to the kernel.

A process inherits its place from the one that starts it.
"""

import os
from pathlib import Path


def of_servers() -> None:
    """What is started from now on runs on all processors but the last."""
    _run_on(slice(None, -1))


def of_clients() -> None:
    """This process, and what it starts from now on, runs on the last processor."""
    _run_on(slice(-1, None))


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
