"""Importing large libraries beside an event loop, so that a stop need not wait for them."""

import asyncio
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["import_in_background"]


class _Stopped(BaseException):
    """Ends an import that nobody waits for; no library takes it for a module that is missing."""


class _Gate:
    """Asked first for every module of the process; refuses those of an import that was stopped."""

    def __init__(self) -> None:
        self.thread = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find nothing, but raise where the import that asks was stopped."""
        stopped: threading.Event | None = getattr(self.thread, "stopped", None)
        if stopped is not None and stopped.is_set():
            raise _Stopped
        return None


_gate = _Gate()
# There for good: taking it out while another thread walks the list would hide a finder from it.
sys.meta_path.insert(0, _gate)


async def import_in_background(name: str) -> ModuleType:
    """The module of that name, imported by a thread.

    When the caller is cancelled the import ends at the next module that it comes to, so that a stop soon after the
    start does not take as long as the import: seconds on a slow machine. (A thread that the end of the process would
    cut off brings the process down instead: libraries in C++ do not survive it.) Raises what the import raises.
    """
    stopped = threading.Event()

    def work() -> ModuleType:
        _gate.thread.stopped = stopped
        try:
            return import_module(name)
        except _Stopped:
            # Nobody is there to be given it.
            return sys.modules[__name__]
        finally:
            _gate.thread.stopped = None

    try:
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, work))
    except asyncio.CancelledError:
        stopped.set()
        raise
