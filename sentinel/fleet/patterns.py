"""What healthy services measure: daily and weekly shape, the Monday surge, noise. Pure, vectorised, the same per seed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sentinel.catalogue import ServiceCatalogue
from sentinel.fleet.settings import FleetSettings, SurgeSettings

METRICS = ("requests_per_second", "error_ratio", "latency_p95_seconds", "cpu_ratio", "memory_ratio")
"""The metrics of every service, in the order of the last axis of every block."""
REQUESTS, ERRORS, LATENCY, CPU, MEMORY = range(len(METRICS))

MINUTE = 60
DAY = 86_400
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday.
_WEEKDAY_LEVELS = (1.0, 1.02, 1.0, 0.98, 0.95, 0.75, 0.7)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Profiles:
    """How big and how fast each service is: one number per service in each array."""

    requests: Floats
    errors: Floats
    latency: Floats
    cpu_idle: Floats
    cpu_load: Floats
    memory: Floats
    saw_minutes: Floats
    phase: Floats
    surge: Floats

    @classmethod
    def draw(cls, catalogue: ServiceCatalogue, settings: FleetSettings) -> Profiles:
        """Draw the profile of every service from the seed, its name and its depth: entries get most and take longest."""
        depth, hops = depths(catalogue), settings.surge.hops
        columns = [
            (*_draw_one(settings.seed, name, depth.get(name, 0)), float(depth.get(name, hops + 1) <= hops))
            for name in catalogue.services
        ]
        return cls(*np.array(columns, dtype=np.float64).reshape(len(columns), 9).T)


def _draw_one(seed: int, name: str, depth: int) -> tuple[float, ...]:
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return (
        400 * 0.75**depth * rng.uniform(0.5, 1),
        rng.uniform(0.002, 0.008),
        0.2 * 0.65**depth * rng.uniform(0.5, 1),
        rng.uniform(0.08, 0.15),
        rng.uniform(0.2, 0.35),
        rng.uniform(0.4, 0.6),
        float(rng.integers(300, 900)),
        rng.uniform(0, 1),
    )


def depths(catalogue: ServiceCatalogue) -> dict[str, int]:
    """Calls between each service and the nearest entry (a service that nobody calls); without those no entry reaches."""
    frontier = {name for name in catalogue.services if not catalogue.callers(name)}
    found: dict[str, int] = {}
    while frontier:
        found |= dict.fromkeys(frontier, max(found.values(), default=-1) + 1)
        frontier = {callee for name in frontier for callee in catalogue.callees(name)} - found.keys()
    return found


def daily_shape(times: Floats) -> Floats:
    """Share of the week's busiest traffic at each time (UTC): low at 03:00, high at 15:00, weekends lower.

    Weekday levels are joined at noon, so that nothing jumps at midnight.
    """
    hour = times % DAY / 3600
    day = 0.35 + 0.65 * (0.5 + 0.5 * np.cos(2 * np.pi * (hour - 15) / 24)) ** 1.2
    week = times / DAY + _EPOCH_WEEKDAY - 0.5
    return day * np.interp(week % 7, np.arange(8), (*_WEEKDAY_LEVELS, _WEEKDAY_LEVELS[0]))


def surge_shape(times: Floats, surge: SurgeSettings) -> Floats:
    """0 outside the surge, 1 at its height, straight lines of five minutes between."""
    begins = (surge.weekday - _EPOCH_WEEKDAY) * DAY + surge.starts.hour * 3600 + surge.starts.minute * 60
    minutes = (times - begins) % (7 * DAY) / MINUTE
    return np.clip(np.minimum(minutes / 5, (surge.minutes - minutes) / 5), 0, 1)


class Patterns:
    """The healthy measurements of a whole fleet, for any time, in any order of asking.

    Noise is drawn per UTC day from (seed, day): a block is the same whether it is asked for as a day or a minute.
    Cost: about 10 ms for a day of 15 services; the last days are kept.
    """

    def __init__(self, catalogue: ServiceCatalogue, settings: FleetSettings) -> None:
        self.services = tuple(catalogue.services)
        self.profiles = Profiles.draw(catalogue, settings)
        self._settings = settings
        self._day = lru_cache(maxsize=2)(self._make_day)

    def block(self, start: int, minutes: int) -> Floats:
        """Values [minutes, services, metrics] from `start` on (seconds, a whole minute); inside one UTC day."""
        first = start % DAY // MINUTE
        if start % MINUTE or first + minutes > DAY // MINUTE:
            raise ValueError(f"a block of {minutes} minutes from {start} does not lie on minutes of one UTC day")
        return self._day(start // DAY)[first : first + minutes]

    def deploys(self, day: int, per_day: float) -> list[tuple[int, int]]:
        """Planned harmless deploys of a UTC day (counted from the epoch): (time in seconds, index of the service).

        They come between 10:00 and 16:00, sorted by time; their number is Poisson with mean `per_day`.
        """
        rng = np.random.default_rng([self._settings.seed, day, 1])
        count = int(rng.poisson(per_day))
        starts = day * DAY + rng.integers(10 * 60, 16 * 60, count) * MINUTE
        return sorted(zip(starts.tolist(), rng.integers(0, len(self.services), count).tolist(), strict=True))

    def _make_day(self, day: int) -> Floats:
        times = day * DAY + np.arange(0, DAY, MINUTE, dtype=np.float64)
        profile, surge = self.profiles, self._settings.surge
        rng = np.random.default_rng([self._settings.seed, day, 0])
        noise = rng.standard_normal((len(times), len(self.services), len(METRICS)))
        shape = daily_shape(times)[:, None]
        extra = (surge.factor - 1) * surge_shape(times, surge)[:, None] * profile.surge
        load = shape * (1 + 0.25 * extra)
        saw = (times[:, None] / MINUTE / profile.saw_minutes + profile.phase) % 1
        values = np.empty_like(noise)
        values[..., REQUESTS] = profile.requests * shape * (1 + extra) * (1 + 0.03 * noise[..., REQUESTS])
        values[..., ERRORS] = profile.errors * np.exp(0.15 * noise[..., ERRORS])
        values[..., LATENCY] = profile.latency * (1 + 0.4 * load**2) * np.exp(0.05 * noise[..., LATENCY])
        values[..., CPU] = profile.cpu_idle + profile.cpu_load * load + 0.01 * noise[..., CPU]
        values[..., MEMORY] = profile.memory + 0.03 * saw + 0.004 * noise[..., MEMORY]
        values.setflags(write=False)
        return values
