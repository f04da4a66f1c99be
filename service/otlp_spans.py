"""Spans that are recorded and sent with OTLP over HTTP. The only module that imports OpenTelemetry.

Everything else that can be set is OpenTelemetry's own: its SDK reads `OTEL_TRACES_SAMPLER`,
`OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_HEADERS` and the like from the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from contextvars import Token
from typing import Self
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.tracing import EntryKind, Kind, Span, Value, current

PATH = "/v1/traces"
"""Where OTLP's specification puts it, if the endpoint has no path of its own."""
SEND_SECONDS = 5
"""The longest that one batch may take, and so the longest that a silent collector holds up an
end."""
_KINDS = {kind.name.lower(): kind for kind in trace.SpanKind}
_PROPAGATOR = TraceContextTextMapPropagator()


class OtlpTracer:
    """Keeps `Tracer`'s protocol. Sends from a thread of its own; what a collector that is away does
    not take is lost."""

    def __init__(self, endpoint: str, *, process: str) -> None:
        """Raises ValueError for an endpoint that is no http(s) URL."""
        exporter = OTLPSpanExporter(endpoint=_address(endpoint), timeout=SEND_SECONDS)
        resource = Resource.create({"service.name": f"nfig-{process}"})
        # Not the global one: whatever else speaks OpenTelemetry in this process stays silent.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("nfig")

    def span(
        self,
        name: str,
        kind: EntryKind | Kind,
        attributes: Mapping[str, Value],
        *,
        parent: Span | None,
        headers: Mapping[str, str],
    ) -> Span:
        if isinstance(parent, RecordedSpan):
            context = trace.set_span_in_context(parent.span, Context())
        else:
            context = _PROPAGATOR.extract(headers, context=Context())
        started = self._tracer.start_span(
            name, context, kind=_KINDS[kind], attributes=dict(attributes)
        )
        return RecordedSpan(started)

    def close(self) -> None:
        self._provider.shutdown()


class RecordedSpan(Span):
    """One of OpenTelemetry's; not kept if whoever began its trace does not want it."""

    def __init__(self, span: trace.Span) -> None:
        self.span = span
        self._token: Token[Span] | None = None

    @property
    def trace_id(self) -> str | None:
        context = self.span.get_span_context()
        return trace.format_trace_id(context.trace_id) if context.trace_flags.sampled else None

    @property
    def headers(self) -> Mapping[str, str]:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, context=trace.set_span_in_context(self.span, Context()))
        return carrier

    def set(self, attributes: Mapping[str, Value]) -> None:
        self.span.set_attributes(dict(attributes))

    def rename(self, name: str) -> None:
        self.span.update_name(name)

    def event(self, name: str, attributes: Mapping[str, Value]) -> None:
        self.span.add_event(name, dict(attributes))

    def fail(self, reason: str) -> None:
        self.span.set_attribute("error.type", reason)
        self.span.set_status(trace.StatusCode.ERROR, reason)

    def end(self) -> None:
        self.span.end()

    def __enter__(self) -> Self:
        self._token = current.set(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.span.end()
        assert self._token is not None
        # A stream that is given up may be closed by another task, which knows nothing of us.
        with suppress(ValueError):
            current.reset(self._token)


def _address(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("NFIG_TRACING_ENDPOINT must be an http:// or https:// URL")
    return endpoint if parts.path.strip("/") else endpoint.rstrip("/") + PATH
