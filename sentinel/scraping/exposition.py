"""Pages in the Prometheus text format and in OpenMetrics, read by prometheus-client's own parsers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import parser
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser

from sentinel.errors import PermanentError

ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5"
"""What a request says that it can read."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a page. `time` is the one that it carries, epoch seconds, or None."""

    name: str
    labels: dict[str, str]
    value: float
    time: float | None


@dataclass(frozen=True, slots=True)
class Family:
    """The samples of one metric. `kind` is `counter`, `gauge`, `histogram`, `summary`, `unknown` or another word."""

    name: str
    kind: str
    samples: list[Sample]

    @property
    def names(self) -> set[str]:
        """The family's name and those of its samples, such as `requests` and `requests_total`."""
        return {self.name, *(one.name for one in self.samples)}


def read_page(text: str, content_type: str) -> list[Family]:
    """All families of a page, whole or not at all: a page cut in the middle would look like metrics that vanished.

    Raises `PermanentError` with the parser's words when it cannot be read. Costs about 10 us a line.
    """
    try:
        return [_family(metric) for metric in _parse(text, content_type)]
    except (ValueError, KeyError, IndexError) as error:  # what the parsers raise on bad input
        raise PermanentError(f"the page cannot be read: {str(error)[:200]}") from error


def _parse(text: str, content_type: str) -> Iterable[Metric]:
    if content_type.startswith("application/openmetrics-text"):
        families: Iterable[Metric] = openmetrics_parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        return families
    return parser.text_string_to_metric_families(text)


def _family(metric: Metric) -> Family:
    samples = [
        Sample(one.name, dict(one.labels), one.value, float(one.timestamp) if one.timestamp is not None else None)
        for one in metric.samples
    ]
    return Family(metric.name, metric.type, samples)
