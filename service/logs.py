"""Structured logs: one JSON object a line, set up by each process's main and by nobody else."""

from __future__ import annotations

import json
import logging
from typing import Any

import structlog

from service.tracing import current_trace_id

_JSON = json.JSONEncoder(default=repr)
"""Made once: `json.dumps` makes one per line."""


def configure_logs(*, process: str, level: int = logging.INFO) -> None:
    """Routes the standard library's logging through structlog to standard error."""
    # No line of ours names them, and looking them up costs as much as any part of it.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        lambda _logger, _name, event: {"process": process, **event},
    ]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(serializer=_to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _to_json(event: Any, **_options: Any) -> str:
    return _JSON.encode(event)


def _add_trace(
    _logger: object, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Request and job are bound by whoever works on them; the trace is known by its span."""
    if (trace_id := current_trace_id()) is not None:
        event["trace_id"] = trace_id
    return event
