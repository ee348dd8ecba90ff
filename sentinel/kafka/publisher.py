"""Writing to Kafka: delivery is reported, failures are errors of the writer, flushes end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from sentinel.config import KafkaSettings
from sentinel.errors import SentinelError, TransientError
from sentinel.kafka.client import client_config, from_exception, ours
from sentinel.metrics import DELIVERY_FAILURES, MESSAGES_WRITTEN


class Publisher:
    """A producer that keeps the order and never loses silently.

    Messages go out in the background. A failed delivery is raised by the next call of `publish`, `check` or `flush`;
    what was not delivered must then be written again by the caller (flows do so by recovery). Not for several threads.
    """

    def __init__(self, settings: KafkaSettings, *, delivery_timeout: float = 60.0) -> None:
        self._timeout = delivery_timeout
        self._failed: SentinelError | None = None
        self._producer = Producer(
            client_config(
                settings,
                **{
                    "enable.idempotence": True,
                    "linger.ms": 5,
                    "message.timeout.ms": int(delivery_timeout * 1000),
                    "message.max.bytes": 8_000_000,
                    "delivery.report.only.error": True,
                    "on_delivery": self._delivered,
                },
            )
        )

    def publish(self, topic: str, key: str, value: bytes, headers: Mapping[str, bytes] | None = None) -> None:
        """Queue one message. Raises `TransientError` or `PermanentError` when an earlier one was not delivered."""
        self.check()
        end = time.monotonic() + self._timeout
        while True:
            try:
                self._producer.produce(topic, value, key.encode(), headers=list(headers.items()) if headers else None)
                break
            except BufferError as error:
                if time.monotonic() > end:
                    raise TransientError(
                        f"writing to {topic!r}: the broker takes nothing; the buffer is full"
                    ) from error
                self._producer.poll(0.05)
            except KafkaException as error:
                raise from_exception(error, f"writing to {topic!r}") from error
        MESSAGES_WRITTEN.labels(topic).inc()
        self._producer.poll(0)

    def check(self) -> None:
        """Raise the error of a delivery that failed since the last call, if there is one."""
        self._producer.poll(0)
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise failed

    def flush(self) -> None:
        """Return when every message was delivered; raise when one failed or the delivery time-out is over."""
        waiting = self._producer.flush(self._timeout + 5.0)
        self.check()
        if waiting:
            raise TransientError(f"{waiting} messages were not delivered within {self._timeout:g} s")

    def close(self) -> None:
        """Flush, then let go of the connections."""
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.close()

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            topic = message.topic() or "?"
            DELIVERY_FAILURES.labels(topic).inc()
            self._failed = ours(error, f"delivering to {topic!r}")
