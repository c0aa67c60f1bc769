"""What the Python side says about itself: JSON lines with the request's id, and Prometheus figures."""

import asyncio
import contextlib
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lycosa.procedures import Figures, LookupProvider, MemoryFigures, QuotaSurvey

if TYPE_CHECKING:
    from lycosa.services.session_writer import WriterFigures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECRET = re.compile(r"password|passwd|secret|api_?key|authorization|cookie|credential|access_token", re.I)
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
_LAG_INTERVAL = 0.02


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Marks the handler as the one installed here."""


class _Lines:
    """Writes finished lines through the handler's stream, without making a record of each."""

    def __init__(self, handler: logging.StreamHandler[Any]) -> None:
        self._handler = handler
        self._reopen = handler.reopenIfNeeded if isinstance(handler, WatchedFileHandler) else None

    def msg(self, line: str) -> None:
        """Write one line."""
        with self._handler.lock or contextlib.nullcontext():
            if self._reopen is not None:
                self._reopen()
            self._handler.stream.write(line + "\n")
            self._handler.flush()

    debug = info = warning = error = critical = exception = log = msg


def is_secret(name: str) -> bool:
    """Whether a name speaks of a secret, so that its value must not be logged."""
    return _SECRET.search(name) is not None


def redact(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """No value under a name that speaks of a secret leaves, whoever logged it."""
    for name in event:
        if is_secret(name):
            event[name] = "[redacted]"
    return event


def _drop_colour(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event.pop("color_message", None)
    return event


def configure_logging(level: str, file: Path | None = None, stream: TextIO | None = None) -> None:
    """One JSON object a line for everything this process logs, libraries included.

    `level` is debug, info, warning or error. Lines go to `file`, which is opened anew after a rotation, else to
    `stream`, else to standard error. May be called again.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
        structlog.processors.format_exc_info,
    ]
    handler: logging.StreamHandler[Any]
    if file is not None:
        handler = WatchedFileHandler(file, encoding="utf-8")
    else:
        handler = logging.StreamHandler(stream or sys.stderr)
    render = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _drop_colour, render],
        )
    )
    root = logging.getLogger()
    for old in [kept for kept in root.handlers if isinstance(kept.formatter, _Formatter)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "stamina"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    lines = _Lines(handler)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )


class HttpMetrics:
    """Figures of one HTTP application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "lycosa_http_requests_total",
            "Requests answered, by the route's template.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "lycosa_http_request_duration_seconds",
            "Seconds from the first byte of a request to the last of its answer.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.active = Gauge("lycosa_http_active_requests", "Requests being answered.", registry=self.registry)
        self.lag = Gauge(
            "lycosa_event_loop_lag_seconds",
            "The longest the event loop was late since the last scrape.",
            registry=self.registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)

    def exposition(
        self,
        figures: Figures | None,
        memory: MemoryFigures | None = None,
        quotas: QuotaSurvey | None = None,
        lookups: "LookupMetrics | None" = None,
        providers: Sequence[LookupProvider] | None = None,
    ) -> bytes:
        """Everything in Prometheus's text format; None for what the store did not tell."""
        store = CollectorRegistry()
        store.register(StoreCollector(figures, memory))
        if quotas is not None:
            store.register(QuotaCollector(quotas))
        if providers is not None:
            store.register(ProviderCollector(providers))
        text = generate_latest(self.registry) + generate_latest(store)
        if lookups is not None:
            text += generate_latest(lookups.registry)
        self.lag.set(0)
        return text

    async def watch_loop(self) -> None:
        """Measure how late the event loop wakes, for ever."""
        worst = 0.0
        while True:
            due = time.perf_counter() + _LAG_INTERVAL
            await asyncio.sleep(_LAG_INTERVAL)
            late = time.perf_counter() - due
            worst = max(late, worst) if self.lag._value.get() else late
            self.lag.set(worst)


class LookupMetrics:
    """Figures of searches and of calls of providers, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._searches = Counter(
            "lycosa_searches",
            "Searches by how they ended: hit, stale, bought, shared, or the kind of the error.",
            ("outcome",),
            registry=self.registry,
        )
        self._calls = Counter(
            "lycosa_provider_calls",
            "Calls of a provider: ok, cancelled, or why they failed.",
            ("provider", "result"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "lycosa_provider_call_duration_seconds",
            "Seconds of a call of a provider.",
            ("provider",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._cost = Counter(
            "lycosa_provider_cost_usd",
            "US dollars that calls of a provider have cost.",
            ("provider",),
            registry=self.registry,
        )

    def answered(self, outcome: str) -> None:
        """Count one search."""
        self._searches.labels(outcome).inc()

    def called(self, provider: str, result: str, seconds: float, cost_microusd: int) -> None:
        """Count one call of a provider."""
        self._calls.labels(provider, result).inc()
        self._seconds.labels(provider).observe(seconds)
        self._cost.labels(provider).inc(cost_microusd / 1_000_000)


class StoreCollector(Collector):
    """The store's own figures, as they were asked for before the scrape is answered."""

    def __init__(self, figures: Figures | None, memory: MemoryFigures | None = None) -> None:
        self._figures = figures
        self._memory = memory

    def collect(self) -> Iterator[Metric]:
        """Families of the store: lycosa_store_*. Only `lycosa_store_up` when the store is away."""
        figures = self._figures
        yield GaugeMetricFamily(
            "lycosa_store_up", "Whether the store answered.", value=float(figures is not None)
        )
        if figures is None:
            return
        yield from _procedures(figures)
        yield from _steps(figures)
        for name, value in figures.counters.items():
            yield CounterMetricFamily(f"lycosa_store_{_named(name)}", f"Counter {name}.", value=value)
        for name, value in figures.gauges.items():
            yield GaugeMetricFamily(f"lycosa_store_{_named(name)}", f"Gauge {name}.", value=value)
        for name, value in figures.memory.items():
            yield GaugeMetricFamily(f"lycosa_store_memory_{_named(name)}", f"Memory: {name}.", value=value)
        yield from _spaces(figures)
        if self._memory is not None:
            yield from _memory(self._memory)


class QuotaCollector(Collector):
    """Figures of limits by tenant and name, in their units: 1.25 USD is 1.25. As many as the survey has."""

    def __init__(self, survey: QuotaSurvey) -> None:
        self._survey = survey

    def collect(self) -> Iterator[Metric]:
        """Families lycosa_quota_*."""
        yield GaugeMetricFamily("lycosa_quotas", "Limits of all tenants.", value=self._survey.limits)
        yield GaugeMetricFamily("lycosa_quotas_shown", "Limits shown below.", value=len(self._survey.rows))
        for name, meaning in (
            ("limit", "The most; the burst of a rate."),
            ("used", "Spent in this window; of a rate, what has not flowed off."),
            ("reserved", "Held by open reservations."),
            ("unknown", "Of reservations that were never settled; counts as spent."),
        ):
            family = GaugeMetricFamily(f"lycosa_quota_{name}", meaning, labels=["tenant", "quota", "unit"])
            for row in self._survey.rows:
                family.add_metric([row.tenant, row.quota, row.unit], getattr(row, name) / 10**row.scale)
            yield family


class SessionCollector(Collector):
    """What this process has still to write of chat histories, read when it is asked for."""

    def __init__(self, figures: "Callable[[], WriterFigures]") -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Families lycosa_session_*."""
        figures = self._figures()
        for name, value, meaning in (
            ("waiting", figures.waiting, "Messages that wait to be written."),
            ("waiting_bytes", figures.waiting_bytes, "Their bytes."),
            ("oldest_seconds", figures.oldest_seconds, "How long the oldest of them has waited."),
        ):
            yield GaugeMetricFamily(f"lycosa_session_{name}", meaning, value=value)
        for name, value, meaning in (
            ("messages", figures.appended, "Messages written."),
            ("writes", figures.writes, "Transactions that wrote them."),
            ("write_failures", figures.failures, "Writes that failed and were tried again."),
            ("messages_refused", figures.refused, "Messages that the store refused."),
        ):
            yield CounterMetricFamily(f"lycosa_session_{name}", meaning, value=value)


class ProviderCollector(Collector):
    """How providers of outside knowledge are, for the tenant of this process."""

    def __init__(self, rows: Sequence[LookupProvider]) -> None:
        self._rows = rows

    def collect(self) -> Iterator[Metric]:
        """Families lycosa_provider_*."""
        breaker = GaugeMetricFamily(
            "lycosa_provider_breaker", "1 for the state of the breaker.", labels=["provider", "state"]
        )
        enabled = GaugeMetricFamily(
            "lycosa_provider_enabled", "Whether it is switched on.", labels=["provider"]
        )
        for row in self._rows:
            for state in ("closed", "half_open", "open"):
                breaker.add_metric([row.provider, state], float(row.breaker == state))
            enabled.add_metric([row.provider], float(row.enabled))
        yield from (breaker, enabled)


def _named(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", name).lower()


def _procedures(figures: Figures) -> Iterator[Metric]:
    calls = CounterMetricFamily("lycosa_store_procedure_calls", "Calls.", labels=["procedure"])
    errors = CounterMetricFamily("lycosa_store_procedure_errors", "Calls refused.", labels=["procedure"])
    seconds = CounterMetricFamily("lycosa_store_procedure_seconds", "Time held.", labels=["procedure"])
    slowest = GaugeMetricFamily(
        "lycosa_store_procedure_slowest_seconds", "The slowest call since the start.", labels=["procedure"]
    )
    for name, figure in figures.procedures.items():
        calls.add_metric([name], figure.calls)
        errors.add_metric([name], figure.errors)
        seconds.add_metric([name], figure.seconds)
        slowest.add_metric([name], figure.slowest)
    yield from (calls, errors, seconds, slowest)


def _steps(figures: Figures) -> Iterator[Metric]:
    runs = CounterMetricFamily("lycosa_store_step_runs", "Runs of a background step.", labels=["step"])
    failures = CounterMetricFamily("lycosa_store_step_failures", "Runs that failed.", labels=["step"])
    seconds = CounterMetricFamily("lycosa_store_step_seconds", "Time held.", labels=["step"])
    slowest = GaugeMetricFamily(
        "lycosa_store_step_slowest_seconds", "The slowest run since the start.", labels=["step"]
    )
    for step in figures.steps:
        runs.add_metric([step.name], step.runs)
        failures.add_metric([step.name], step.failures)
        seconds.add_metric([step.name], step.seconds)
        slowest.add_metric([step.name], step.slowest)
    yield from (runs, failures, seconds, slowest)


def _spaces(figures: Figures) -> Iterator[Metric]:
    rows = GaugeMetricFamily("lycosa_store_space_rows", "Rows of a space.", labels=["space"])
    size = GaugeMetricFamily("lycosa_store_space_bytes", "Bytes of a space's rows.", labels=["space"])
    indexes = GaugeMetricFamily("lycosa_store_space_index_bytes", "Bytes of its indexes.", labels=["space"])
    for space in figures.spaces:
        rows.add_metric([space.name], space.rows)
        size.add_metric([space.name], space.bytes)
        indexes.add_metric([space.name], space.index_bytes)
    yield from (rows, size, indexes)


def _memory(memory: MemoryFigures) -> Iterator[Metric]:
    """What the fill does not tell: growth, and free bytes that serve only rows of one size."""
    for name, value, meaning in (
        ("live_bytes", memory.live_bytes, "Rows and indexes that are not deleted."),
        ("vinyl_bytes", memory.vinyl_bytes, "Memory of the engine on disk, beside the quota."),
        ("growth_bytes_per_second", memory.growth, "Growth of live_bytes over the last minutes."),
        ("seconds_to_full", memory.seconds_to_full, "Until no write is accepted, at that rate."),
    ):
        if value is not None:
            yield GaugeMetricFamily(f"lycosa_store_memory_{name}", meaning, value=value)
    slabs = GaugeMetricFamily("lycosa_store_size_class_slabs", "Slabs of a row size.", labels=["item_size"])
    used = GaugeMetricFamily(
        "lycosa_store_size_class_used_bytes", "Bytes in rows of up to this size.", labels=["item_size"]
    )
    free = GaugeMetricFamily(
        "lycosa_store_size_class_free_bytes", "Bytes only rows of this size can use.", labels=["item_size"]
    )
    for size in memory.size_classes:
        label = [str(size.item_size)]
        slabs.add_metric(label, size.slabs)
        used.add_metric(label, size.used_bytes)
        free.add_metric(label, size.free_bytes)
    yield from (slabs, used, free)
