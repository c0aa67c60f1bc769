"""What the store says about itself."""

from lycosa.errors import LycosaError, Unavailable
from lycosa.procedures import Figures, Health, MemoryFigures, Procedures

_READY_WITHIN = 1.0


class SystemService:
    """Health and figures. Of no tenant, so no identity is asked for."""

    def __init__(self, procedures: Procedures) -> None:
        self._procedures = procedures

    async def health(self, timeout: float | None = None) -> Health:
        """Whether the store runs and takes writes, its uptime (seconds), schema and version. Raises Unavailable."""
        return await self._procedures.system_health(timeout=timeout)

    async def ready(self) -> Health:
        """The health of a store that answers within a second and is running.

        Raises Unavailable, whatever the reason it is not.
        """
        try:
            health = await self.health(_READY_WITHIN)
        except LycosaError as problem:
            raise Unavailable(
                f"the store is not ready: {problem.message}",
                code="NOT_READY",
                details={"cause": problem.code},
                retry_after=1.0,
            ) from problem
        if health.status != "running":
            raise Unavailable(
                f"the store is not ready: its status is {health.status}",
                code="NOT_READY",
                details={"status": health.status},
                retry_after=1.0,
            )
        return health

    async def figures(self, timeout: float | None = None) -> Figures:
        """Counters, gauges, calls by procedure, daemon steps and memory of the store. Raises Unavailable."""
        return await self._procedures.system_figures(timeout=timeout)

    async def memory(self, timeout: float | None = None) -> MemoryFigures:
        """The fill of the store's memory, its growth, spaces, and free bytes by size of rows. Raises Unavailable."""
        return await self._procedures.system_memory(timeout=timeout)
