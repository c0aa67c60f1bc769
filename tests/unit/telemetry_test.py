"""Logs and figures of the Python side."""

import asyncio
import io
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from lycosa.procedures import (
    Figures,
    MemoryFigures,
    ProcedureFigures,
    SizeClass,
    SpaceFigures,
    StepFigures,
)
from lycosa.telemetry import HttpMetrics, configure_logging


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_one_json_object_a_line_whoever_logs() -> None:
    stream = io.StringIO()
    configure_logging("info", stream=stream)
    configure_logging("info", stream=stream)
    structlog.contextvars.bind_contextvars(request_id="r-1")
    structlog.get_logger("a").info("asked", tenant="ООО")
    logging.getLogger("library").warning("%s happened", "it")
    structlog.get_logger("a").debug("not shown")
    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["level"], line["request_id"]) for line in written] == [
        ("asked", "info", "r-1"),
        ("it happened", "warning", "r-1"),
    ]
    assert written[0]["tenant"] == "ООО"
    assert written[0]["timestamp"].endswith("Z")
    assert written[1]["logger"] == "library"


def test_an_exception_is_one_line() -> None:
    stream = io.StringIO()
    configure_logging("info", stream=stream)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        structlog.get_logger("a").exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: two\nlines" in json.loads(line)["exception"]


@pytest.mark.parametrize(
    "name", ["password", "OPENAI_API_KEY", "tavily_apikey", "Authorization", "client_secret"]
)
def test_no_secret_leaves(name: str) -> None:
    stream = io.StringIO()
    configure_logging("info", stream=stream)
    structlog.get_logger("a").info("asked", **{name: "hunter2"}, tokens_in=5)
    assert "hunter2" not in stream.getvalue()
    assert json.loads(stream.getvalue())["tokens_in"] == 5


def test_a_rotated_file_is_opened_anew(tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    configure_logging("info", file=file)
    structlog.get_logger("a").info("first")
    file.rename(tmp_path / "server.log.1")
    structlog.get_logger("a").info("second")
    assert json.loads(file.read_text())["event"] == "second"


FIGURES = Figures(
    counters={"document.indexed": 3},
    gauges={"document.lag": 0.5},
    procedures={"customer.get": ProcedureFigures(7, 2, 0.25, 0.1)},
    steps=[StepFigures("cache.expire", 4, 1, 0.5, 0.2, "it broke", 1.0)],
    memory={"quota_bytes": 1024},
    time=0.0,
    spaces=[SpaceFigures("customer", "memtx", 5, 600, 70)],
)


MEMORY = MemoryFigures(
    quota_bytes=1024,
    used_bytes=512,
    live_bytes=500,
    item_bytes=400,
    lua_bytes=9,
    vinyl_bytes=7,
    growth=2.5,
    seconds_to_full=None,
    spaces=[],
    size_classes=[SizeClass(24, 3, 1, 72, 16_000), SizeClass(1000, 2, 1, 2000, 14_000)],
)


def sample(text: str, name: str) -> float:
    (line,) = [line for line in text.splitlines() if line.startswith(name + " ")]
    return float(line.rpartition(" ")[2])


def test_figures_of_both_sides() -> None:
    metrics = HttpMetrics()
    metrics.observe("GET", "/v1/customers/{customer_id}", 200, 0.004)
    text = metrics.exposition(FIGURES).decode()
    route = 'method="GET",route="/v1/customers/{customer_id}"'
    assert sample(text, f'lycosa_http_requests_total{{{route},status="200"}}') == 1
    assert sample(text, f'lycosa_http_request_duration_seconds_bucket{{le="0.005",{route}}}') == 1
    assert sample(text, "lycosa_http_active_requests") == 0
    assert sample(text, "lycosa_store_up") == 1
    assert sample(text, 'lycosa_store_procedure_calls_total{procedure="customer.get"}') == 7
    assert sample(text, 'lycosa_store_procedure_errors_total{procedure="customer.get"}') == 2
    assert sample(text, 'lycosa_store_step_failures_total{step="cache.expire"}') == 1
    assert sample(text, "lycosa_store_document_indexed_total") == 3
    assert sample(text, "lycosa_store_document_lag") == 0.5
    assert sample(text, "lycosa_store_memory_quota_bytes") == 1024
    assert sample(text, 'lycosa_store_space_index_bytes{space="customer"}') == 70
    assert sample(text, "process_resident_memory_bytes") > 1_000_000


def test_the_growth_of_the_memory_and_its_sizes() -> None:
    text = HttpMetrics().exposition(FIGURES, MEMORY).decode()
    assert sample(text, "lycosa_store_memory_live_bytes") == 500
    assert sample(text, "lycosa_store_memory_vinyl_bytes") == 7
    assert sample(text, "lycosa_store_memory_growth_bytes_per_second") == 2.5
    assert "lycosa_store_memory_seconds_to_full" not in text
    assert sample(text, 'lycosa_store_size_class_free_bytes{item_size="24"}') == 16_000
    assert sample(text, 'lycosa_store_size_class_used_bytes{item_size="1000"}') == 2000
    assert sample(text, 'lycosa_store_size_class_slabs{item_size="1000"}') == 1
    full = HttpMetrics().exposition(FIGURES, MEMORY._replace(growth=None, seconds_to_full=60.0)).decode()
    assert sample(full, "lycosa_store_memory_seconds_to_full") == 60
    assert "growth_bytes_per_second" not in full


def test_a_store_that_is_away_is_said_to_be() -> None:
    text = HttpMetrics().exposition(None).decode()
    assert sample(text, "lycosa_store_up") == 0
    assert "lycosa_store_procedure" not in text


async def test_a_blocked_loop_shows() -> None:
    metrics = HttpMetrics()
    watching = asyncio.create_task(metrics.watch_loop())
    await asyncio.sleep(0.02)
    time.sleep(0.4)  # noqa: ASYNC251
    await asyncio.sleep(0.02)
    late = sample(metrics.exposition(None).decode(), "lycosa_event_loop_lag_seconds")
    watching.cancel()
    assert late > 0.2
    assert sample(metrics.exposition(None).decode(), "lycosa_event_loop_lag_seconds") == 0
