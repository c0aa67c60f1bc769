"""OpenTelemetry, for whoever asks for it in the words of its own variables; nothing of it is imported otherwise.

FastMCP opens a span for every operation by itself, under the trace its caller sent along; the MCP server adds the
tenant and the request's id. Nothing goes anywhere until a provider is set up here.
"""

import os
import sys
from collections.abc import Mapping

import structlog

import lycosa

_log = structlog.get_logger("lycosa.tracing")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def wanted_exporter(environment: Mapping[str, str]) -> str | None:
    """`otlp`, `console` or None, by OTEL_TRACES_EXPORTER, else by whether an endpoint is named."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    named = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if named in ("otlp", "console"):
        return named
    if named:
        if named != "none":
            _log.warning("tracing_exporter_unknown", exporter=named[:64], known="otlp, console, none")
        return None
    return "otlp" if any(environment.get(name) for name in _ENDPOINTS) else None


def configure_tracing() -> bool:
    """Send spans where OTEL_* says; tells whether there is somebody to send them to. Once in a process.

    Where the SDK is not installed it says so in the log and goes on without. Spans still in memory are sent when the
    process ends.
    """
    exporter = wanted_exporter(os.environ)
    if exporter is None:
        return False
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

        spans: SpanExporter
        if exporter == "console":
            # Standard output belongs to the protocol.
            spans = ConsoleSpanExporter(out=sys.stderr)
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            spans = OTLPSpanExporter()
    except ImportError as problem:
        _log.warning("tracing_not_installed", missing=problem.name, remedy="pip install 'lycosa[telemetry]'")
        return False
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        return True
    name = os.environ.get("OTEL_SERVICE_NAME") or "lycosa"
    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: name, SERVICE_VERSION: lycosa.__version__})
    )
    provider.add_span_processor(BatchSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    _log.info("tracing", exporter=exporter)
    return True
