"""One trace per request, through every process that has a part in it. Off until `start_tracing`.

Off, every span is the same one that does nothing, and no library of OpenTelemetry is imported.
`otlp_spans.py` has the real ones. A span that is entered (`with span:`) is the current one of its
task, and spans that are made meanwhile are its children.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Literal, Protocol, Self

Value = str | int | float | bool
EntryKind = Literal["server", "consumer"]
Kind = Literal["internal", "client"]
NO_HEADERS: Mapping[str, str] = {}


class Span:
    """A piece of work of a request. This one does nothing: nobody traces."""

    @property
    def trace_id(self) -> str | None:
        """32 hex digits, of a trace that is kept; None where nothing is."""
        return None

    @property
    def headers(self) -> Mapping[str, str]:
        """`traceparent`, and `tracestate` if there is one, for whoever works for this span."""
        return NO_HEADERS

    def set(self, attributes: Mapping[str, Value]) -> None: ...

    def rename(self, name: str) -> None: ...

    def event(self, name: str, attributes: Mapping[str, Value]) -> None: ...

    def fail(self, reason: str) -> None:
        """Marks the work as failed. `reason` is a code or the name of an error."""

    def end(self) -> None:
        """Of a span that was not entered; to leave one ends it, too."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None: ...


class Tracer(Protocol):
    """Makes spans and sends them off when they end."""

    def span(
        self,
        name: str,
        kind: EntryKind | Kind,
        attributes: Mapping[str, Value],
        *,
        parent: Span | None,
        headers: Mapping[str, str],
    ) -> Span:
        """A child of `parent`, else of whoever sent the headers, else the first of a new trace."""

    def close(self) -> None:
        """Sends what is left, for a limited time."""


NO_SPAN = Span()
current: ContextVar[Span] = ContextVar("nfig_span", default=NO_SPAN)
_tracer: Tracer | None = None


def start_tracing(endpoint: str | None, *, process: str) -> None:
    """To be called by each process's main. `endpoint` is where spans are sent with OTLP over HTTP;
    without one, tracing stays off. Raises ValueError for what is no http(s) URL."""
    global _tracer
    if endpoint:
        from service.otlp_spans import OtlpTracer

        _tracer = OtlpTracer(endpoint, process=process)


def stop_tracing() -> None:
    """Sends what is left; tracing is off from then on."""
    global _tracer
    tracer, _tracer = _tracer, None
    if tracer is not None:
        tracer.close()


def is_tracing() -> bool:
    return _tracer is not None


def current_trace_id() -> str | None:
    """Of the trace that the running work belongs to, if it is kept."""
    return current.get().trace_id


def entry_span(
    name: str,
    kind: EntryKind,
    attributes: Mapping[str, Value],
    *,
    headers: Mapping[str, str] = NO_HEADERS,
) -> Span:
    """Of work that comes from another process, whose headers it may have brought along."""
    if _tracer is None:
        return NO_SPAN
    return _tracer.span(name, kind, attributes, parent=None, headers=headers)


def span(name: str, attributes: Mapping[str, Value], *, kind: Kind = "internal") -> Span:
    """Of a part of the current work; nothing where there is none that is traced."""
    parent = current.get()
    if _tracer is None or parent is NO_SPAN:
        return NO_SPAN
    return _tracer.span(name, kind, attributes, parent=parent, headers=NO_HEADERS)
