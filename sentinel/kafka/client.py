"""What every Kafka client of the product has in common: its settings, and how the client's errors become ours."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError, KafkaException

from sentinel.config import KafkaSettings
from sentinel.errors import PermanentError, SentinelError, TransientError
from sentinel.logs import get_logger
from sentinel.metrics import KAFKA_ERRORS

log = get_logger(__name__)

_HOPELESS = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        KafkaError._AUTHENTICATION,  # noqa: SLF001
        KafkaError._INVALID_ARG,  # noqa: SLF001
    }
)
"""Errors that the same call meets again; librdkafka's own codes start with an underscore and are documented so."""


def client_config(settings: KafkaSettings, **more: Any) -> dict[str, Any]:
    """The librdkafka configuration for one client: ours first, then the user's `options`, which win."""
    return {
        "bootstrap.servers": settings.bootstrap,
        "client.id": "sentinel",
        "error_cb": _report,
        "log_level": 2,  # what it logs as errors comes to `_report` as well
        "reconnect.backoff.max.ms": 2000,
        **more,
        **settings.options,
    }


def ours(error: KafkaError, doing: str) -> SentinelError:
    """The product's error for one of the client's: permanent where a retry cannot help, else transient."""
    kind = PermanentError if error.code() in _HOPELESS else TransientError
    return kind(f"{doing}: {error.str()} ({error.name()})")


def from_exception(raised: KafkaException, doing: str) -> SentinelError:
    """Like `ours`, for an exception of the client."""
    cause = raised.args[0]
    return ours(cause, doing) if isinstance(cause, KafkaError) else TransientError(f"{doing}: {raised}")


def _report(error: KafkaError) -> None:
    """The client calls this for errors that it retries by itself: say so and count."""
    KAFKA_ERRORS.labels(error.name()).inc()
    log.warning("kafka client retries", code=error.name(), reason=error.str())
