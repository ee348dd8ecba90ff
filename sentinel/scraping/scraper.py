"""Looks at every target at its interval and produces what it found. One thread, one event loop, one task a target."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import httpx
import msgspec

from sentinel.errors import PermanentError, TransientError
from sentinel.kafka import Publisher
from sentinel.logs import get_logger
from sentinel.metrics import SCRAPE_LOST, SCRAPES
from sentinel.producing import PER_MESSAGE, event
from sentinel.scraping.conversion import Converter, Measurement
from sentinel.scraping.exposition import ACCEPT, read_page
from sentinel.scraping.settings import ScrapeSettings, ScrapeTarget
from sentinel.series import SERVICE_LABEL, Series

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a target gave. `problem` is empty when it answered; `events` then also hold what it measured."""

    target: str
    problem: str
    events: list[tuple[Series, float, float]]
    """Series, time, value. `up` (1 or 0) is always among them, so that a target that is gone can be detected."""
    left_out: int = 0
    """Measurements without the label that names the service."""


class TargetScraper:
    """One target: its connection, and what its counters showed last."""

    def __init__(self, name: str, target: ScrapeTarget, settings: ScrapeSettings, now: Callable[[], float]) -> None:
        self._name = name
        self._target = target
        self._settings = settings
        self._now = now
        self._converter = Converter(settings.quantiles)
        self._client = httpx.AsyncClient(
            headers={"Accept": ACCEPT, **{key: value.get_secret_value() for key, value in target.headers.items()}},
            verify=ssl.create_default_context(cafile=target.ca_file) if target.ca_file else True,
        )

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        return self._target.interval or self._settings.interval

    async def look(self) -> Look:
        """Fetch and convert. Never raises: a target that does not answer is `up` 0 and a problem."""
        at = self._now()
        try:
            async with asyncio.timeout(self._settings.timeout):
                text, content_type = await self._fetch()
            families = [one for one in read_page(text, content_type) if self._target.wants(one.names)]
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, PermanentError) as error:
            SCRAPES.labels(self._name, "failed").inc()
            problem = str(error) or f"no answer within {self._settings.timeout:g} s"
            return Look(target=self._name, problem=problem, events=[self._up(at, 0.0)])
        SCRAPES.labels(self._name, "ok").inc()
        found = self._converter.convert(families, at, honor_timestamps=self._target.honor_timestamps)
        events = [(series, one.time, one.value) for one in found if (series := self._series(one)) is not None]
        left_out = len(found) - len(events)
        return Look(target=self._name, problem="", events=[*events, self._up(at, 1.0)], left_out=left_out)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._client.aclose()

    async def _fetch(self) -> tuple[str, str]:
        async with self._client.stream("GET", self._target.url) as answer:
            if answer.status_code != httpx.codes.OK:
                raise PermanentError(f"{self._target.url} answered {answer.status_code}")
            page = bytearray()
            async for piece in answer.aiter_bytes():
                page += piece
                if len(page) > self._settings.max_bytes:
                    raise PermanentError(f"the page has more than {self._settings.max_bytes} bytes (scrape.max_bytes)")
        try:
            return page.decode(), answer.headers.get("content-type", "")
        except UnicodeDecodeError as error:
            raise PermanentError(f"the page is not UTF-8 at byte {error.start}") from error

    def _series(self, one: Measurement) -> Series | None:
        target = self._target
        service = target.service or one.labels.get(target.service_from, "")
        if not service:
            return None
        return Series.of(one.name, {**one.labels, **target.labels, SERVICE_LABEL: service})

    def _up(self, at: float, value: float) -> tuple[Series, float, float]:
        labels = {**self._target.labels, "target": self._name, SERVICE_LABEL: self._target.service or self._name}
        return Series.of("up", labels), at, value


def scrape(
    settings: ScrapeSettings,
    publisher: Publisher,
    topic: str,
    stop: threading.Event,
    now: Callable[[], float] = time.time,
) -> None:
    """Poll all targets until `stop` is set. Raises `PermanentError` when the broker refuses what is produced.

    What a broker that is away does not take is counted and lost: a page cannot be fetched a second time.
    """
    asyncio.run(_scrape(settings, publisher, topic, stop, now))


def look_twice(settings: ScrapeSettings, pause: float = 1.0, now: Callable[[], float] = time.time) -> list[Look]:
    """What the second of two looks at every target gives, in the order of the configuration; produces nothing.

    Two, `pause` seconds apart, because rates need two pages.
    """

    async def look(scraper: TargetScraper) -> Look:
        try:
            await scraper.look()
            await asyncio.sleep(pause)
            return await scraper.look()
        finally:
            await scraper.close()

    async def look_all() -> list[Look]:
        scrapers = [TargetScraper(name, target, settings, now) for name, target in settings.targets.items()]
        return list(await asyncio.gather(*(look(scraper) for scraper in scrapers)))

    return asyncio.run(look_all())


async def _scrape(
    settings: ScrapeSettings, publisher: Publisher, topic: str, stop: threading.Event, now: Callable[[], float]
) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_poll(TargetScraper(name, target, settings, now), name, publisher, topic))
            for name, target in settings.targets.items()
        ]
        await asyncio.to_thread(stop.wait)
        for task in tasks:
            task.cancel()


async def _poll(scraper: TargetScraper, name: str, publisher: Publisher, topic: str) -> None:
    """Look at the same phase of every interval, which differs between targets so that not all are asked at once."""
    loop = asyncio.get_running_loop()
    turn = loop.time() + scraper.interval * (zlib.crc32(name.encode()) % 1000) / 1000
    told = ""
    try:
        while True:
            await asyncio.sleep(turn - loop.time())
            look = await scraper.look()
            if look.problem != told:
                told = look.problem
                log.warning("a target does not answer", target=name, problem=told) if told else log.info(
                    "a target answers again", target=name
                )
            _produce(look, publisher, topic)
            turn += scraper.interval * max(1, -(-(loop.time() - turn) // scraper.interval))
    finally:
        await scraper.close()


def _produce(look: Look, publisher: Publisher, topic: str) -> None:
    try:
        for service, events in _by_service(look.events):
            for start in range(0, len(events), PER_MESSAGE):
                publisher.publish(topic, service, msgspec.json.encode(events[start : start + PER_MESSAGE]))
    except TransientError as error:
        SCRAPE_LOST.labels(look.target).inc()
        log.warning("what a target showed is lost", target=look.target, reason=str(error))


def _by_service(events: Sequence[tuple[Series, float, float]]) -> Iterable[tuple[str, list[object]]]:
    groups: dict[str, list[object]] = {}
    for series, ts, value in events:
        groups.setdefault(series.service, []).append(event(series, ts, value))
    return groups.items()
