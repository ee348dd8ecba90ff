"""Configuration of `sentinel scrape`: which endpoints are polled, how often, and what is kept."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from itertools import product

from pydantic import Field, SecretStr, model_validator

from sentinel.config import Section
from sentinel.series import SERVICE_LABEL


class ScrapeTarget(Section):
    """One endpoint that answers in the Prometheus or OpenMetrics text format."""

    url: str = Field(pattern=r"^https?://[^\s/]+(/\S*)?$")
    """Address of the page, such as `http://checkout:9100/metrics`, or `/federate?match[]=...` of a Prometheus. Redirects
    are not followed. No default."""
    service: str = ""
    """Service that the series belong to. Default empty: `service_from` says it."""
    service_from: str = ""
    """Label whose value is the service, for a page about several services; samples without it are left out. Default
    empty: `service` says it."""
    labels: dict[str, str] = {}
    """Labels added to every series; they win over the page's own. Default none."""
    keep: tuple[str, ...] = ("*",)
    """Patterns (`*`, `?`) of metrics to keep, by the name of the family or of its samples. Default all."""
    drop: tuple[str, ...] = ("go_*", "process_*", "python_*", "scrape_*")
    """Patterns of metrics to leave out, after `keep`. Default what runtimes say about themselves."""
    interval: float | None = Field(default=None, gt=0)
    """Seconds between two looks at this target. Default `scrape.interval`."""
    honor_timestamps: bool = False
    """Take the time that a sample carries instead of the time of the scrape. Default no: a page that repeats an old time
    would count as late. Say yes for `/federate`."""
    headers: dict[str, SecretStr] = {}
    """Headers of the request, such as `Authorization: "Bearer ${SCRAPE_TOKEN}"`. Default none."""
    ca_file: str = ""
    """Certificates that are trusted for this target instead of the system's. Default the system's."""

    @model_validator(mode="after")
    def _one_service(self) -> ScrapeTarget:
        if bool(self.service) == bool(self.service_from):
            raise ValueError("give `service` (all series belong to it) or `service_from` (the label that names it)")
        if SERVICE_LABEL in self.labels:
            raise ValueError("`labels` must not set the label `service`: say `service`")
        return self

    def wants(self, names: Iterable[str]) -> bool:
        """Whether a metric is kept: `names` are its family's and its samples', because people know it by either."""
        known = tuple(names)
        return _match(known, self.keep) and not _match(known, self.drop)


class ScrapeSettings(Section):
    """What `sentinel scrape` polls. As shipped it polls nothing."""

    targets: dict[str, ScrapeTarget] = {}
    """Name of the target to what it is. Default none."""
    interval: float = Field(default=10.0, gt=0)
    """Seconds between two looks at a target. Default 10, so that a window of a minute holds six."""
    timeout: float = Field(default=5.0, gt=0)
    """Seconds for one look, all in all. Default 5."""
    max_bytes: int = Field(default=16 << 20, ge=1024)
    """Largest page, bytes; a larger one is refused as a whole. Default 16 MiB."""
    quantiles: tuple[float, ...] = (0.5, 0.95, 0.99)
    """Quantiles computed from histograms, each in (0, 1). Default the median, p95 and p99."""

    @model_validator(mode="after")
    def _fits(self) -> ScrapeSettings:
        for name, target in self.targets.items():
            if self.timeout > (target.interval or self.interval):
                raise ValueError(f"scrape.timeout is longer than the interval of target {name!r}")
        if any(not 0 < q < 1 for q in self.quantiles):
            raise ValueError("scrape.quantiles must lie between 0 and 1")
        return self


def _match(names: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name, pattern in product(names, patterns))
