"""Processes are waited for as long as was said, also by a task that is being cancelled."""

import asyncio
import sys

from lycosa.child_process import ended


async def start(code: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code)


async def test_one_that_ends_has_ended() -> None:
    process = await start("pass")
    assert await ended(process, 10.0)
    assert process.returncode == 0


async def test_one_that_stays_is_told_so_in_the_cleanup_of_a_cancelled_task_too() -> None:
    process = await start("import time; time.sleep(60)")
    told: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            told.append(await ended(process, 0.05))
            process.kill()
            await process.wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=10.0)
    assert told == [False]
    assert process.returncode == -9
