"""Logs: one JSON object per line on stderr, with the trace id of what is being worked on."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import structlog


def get_logger(name: str) -> Any:
    """A logger whose lines carry `component=name`. Safe at import: what it prints is decided by `configure`, later."""
    return structlog.get_logger(component=name)


def configure(*, level: str = "info", pretty: bool = False, stream: TextIO | None = None) -> None:
    """Set up logging for this process; called once by each entry point.

    `level`: `debug`, `info`, `warning` or `error`. `pretty` prints for a person instead of JSON. `stream`: where the
    lines go, stderr when None. Lines of libraries that use `logging` come out in the same form from `warning` on.
    """
    out = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # A plain traceback: the structured one would print local variables, secrets among them.
        _keep if pretty else structlog.processors.format_exc_info,
    ]
    renderer = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(default=str)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[_drop_meta, renderer], foreign_pre_chain=shared)
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


@contextmanager
def trace(trace_id: str, **more: Any) -> Iterator[None]:
    """Put `trace_id` (32 hexadecimal digits) and more fields on every line that is logged inside the block."""
    with structlog.contextvars.bound_contextvars(trace_id=trace_id, **more):
        yield


def _keep(_logger: Any, _method: str, event: Any) -> Any:
    return event


def _drop_meta(_logger: Any, _method: str, event: Any) -> Any:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(_logger, _method, event)
