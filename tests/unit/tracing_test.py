"""Who gets spans, by OpenTelemetry's own variables; that there are any is seen in tests of the MCP server."""

import os
import subprocess
import sys

import pytest

from lycosa.tracing import wanted_exporter
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("environment", "exporter"),
    [
        ({}, None),
        ({"OTEL_SERVICE_NAME": "x"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, None),
        ({"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, None),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, None),
    ],
)
def test_the_exporter_is_named_by_the_environment(environment: dict[str, str], exporter: str | None) -> None:
    assert wanted_exporter(environment) == exporter


def run(lines: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", lines], capture_output=True, text=True, timeout=30, check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "python")} | environment,
    )  # fmt: skip


def test_spans_of_the_console_go_to_standard_error() -> None:
    ended = run(
        "from lycosa.tracing import configure_tracing as c; assert c() and c()\n"
        "from opentelemetry import trace; trace.get_tracer('t').start_span('a span').end()",
        OTEL_TRACES_EXPORTER="console",
    )
    assert ended.returncode == 0, ended.stderr
    assert '"name": "a span"' in ended.stderr
    assert "a span" not in ended.stdout


def test_without_the_sdk_it_says_so_and_goes_on() -> None:
    ended = run(
        "import sys; sys.modules['opentelemetry.sdk.trace'] = None\n"
        "from lycosa.tracing import configure_tracing as c; assert c() is False",
        OTEL_TRACES_EXPORTER="console",
    )
    assert ended.returncode == 0, ended.stderr
    assert "lycosa[telemetry]" in ended.stdout + ended.stderr
