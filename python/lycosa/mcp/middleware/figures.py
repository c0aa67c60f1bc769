"""Figures of MCP's operations, for Prometheus."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0)
# Series are kept for ever by whoever scrapes them, so their number is bounded.
_MOST_NAMES = 100
_OTHERS = "other"
# Outcomes that come before anybody has looked whether there is such a name.
_UNSURE = frozenset({"exhausted", "unavailable", "timeout", "cancelled", "internal", "protocol"})


class Figures:
    """Operations by method, name (a tool, a prompt, the scheme of a resource) and outcome.

    An outcome is ok, asked (the client was asked something), or the kind of the error; `protocol` for what MCP itself
    refused.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._names: set[str] = set()
        self._operations = Counter(
            "lycosa_mcp_operations",
            "MCP operations, by what was named and how they ended.",
            ("method", "name", "outcome"),
            registry=registry,
        )
        self._seconds = Histogram(
            "lycosa_mcp_operation_duration_seconds",
            "Seconds an MCP operation took.",
            ("method", "name"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._bytes = Counter(
            "lycosa_mcp_answer_bytes",
            "Bytes of content that tools answered.",
            ("name",),
            registry=registry,
        )
        self.active = Gauge("lycosa_mcp_active_operations", "Operations being answered.", registry=registry)

    def observe(self, method: str, name: str, outcome: str, seconds: float, size: int | None) -> None:
        """Count one operation. `size` is the bytes of a tool's answer, None where there is none."""
        shown = self._bounded(name, outcome)
        self._operations.labels(method, shown, outcome).inc()
        self._seconds.labels(method, shown).observe(seconds)
        if size is not None:
            self._bytes.labels(shown).inc(size)

    def learn(self, names: Iterable[str]) -> None:
        """Names that are shown whatever becomes of them."""
        self._names.update(names)

    def _bounded(self, name: str, outcome: str) -> str:
        if name in self._names:
            return name
        # Whoever is over a limit, or meets a store that is away, may have named anything.
        if len(self._names) >= _MOST_NAMES or outcome in _UNSURE:
            return _OTHERS
        self._names.add(name)
        return name
