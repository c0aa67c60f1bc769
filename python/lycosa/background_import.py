"""Importing large libraries beside an event loop."""

import asyncio
import threading
from importlib import import_module
from types import ModuleType

__all__ = ["import_in_background"]


async def import_in_background(name: str) -> ModuleType:
    """The module of that name, imported by a thread for which the end of the process does not wait.

    asyncio's own threads are waited for when its loop closes, so that a stop soon after the start would take as long as
    the import: seconds on a slow machine. Raises what the import raises.
    """
    loop = asyncio.get_running_loop()
    imported: asyncio.Future[ModuleType] = loop.create_future()

    def tell(module: ModuleType | None, problem: BaseException | None) -> None:
        if imported.done():
            return
        if module is not None:
            imported.set_result(module)
        elif problem is not None:
            imported.set_exception(problem)

    def work() -> None:
        module, problem = None, None
        try:
            module = import_module(name)
        except BaseException as raised:
            problem = raised
        try:
            loop.call_soon_threadsafe(tell, module, problem)
        except RuntimeError:
            # The loop has been closed meanwhile: nobody waits any more.
            return

    threading.Thread(target=work, name=f"import {name}", daemon=True).start()
    return await imported
