"""What the simulated fleet is like: its clock, its traffic and where it listens."""

from __future__ import annotations

from datetime import UTC, datetime, time

from pydantic import AwareDatetime, Field

from sentinel.config import Section


class SurgeSettings(Section):
    """The weekly surge of visitors: normal traffic that a seasonal baseline has to know."""

    factor: float = Field(default=2.0, ge=1)
    """How many times the usual requests come at its height. Default 2: far outside what the hour before shows."""
    weekday: int = Field(default=0, ge=0, le=6)
    """Day of the week, 0 is Monday. Default Monday."""
    starts: time = time(9, 0)
    """When it begins (UTC). Default 09:00."""
    minutes: int = Field(default=50, ge=10)
    """How long it lasts, with five minutes of rise and of fall in it. Default 50, so that it stays inside one hour."""
    hops: int = Field(default=2, ge=0)
    """It reaches services up to so many calls behind the entry (a service that nobody calls). Default 2."""


class FleetSettings(Section):
    """The simulated fleet. Numbers are the same for the same seed, whatever the wall clock does."""

    seed: int = 7
    """Seed of all noise and of the planned deploys. Default 7, for no other reason than being fixed."""
    live_start: AwareDatetime = datetime(2026, 11, 16, 6, 30, tzinfo=UTC)
    """Event time at which the live phase begins. Default a Monday 06:30 UTC, so that the surge at 09:00 is seen live."""
    history_days: float = Field(default=14, ge=0)
    """Days of healthy history before the live phase, produced as fast as possible. Default 14: two whole weeks, what a
    weekly baseline needs."""
    live_minutes: int | None = None
    """Minutes of event time after which the live phase ends. Default none: until stopped."""
    factor: float = Field(default=300, gt=0)
    """Event seconds per wall second in the live phase; 1 is real time. Default 300: a minute in 0.2 s."""
    start_paused: bool = False
    """Stop the clock at the start of the live phase until `POST /v1/clock` lets it run. Default off."""
    environment: str = "prod"
    """Value of the label `env` of every event."""
    damping: float = Field(default=0.5, ge=0, lt=1)
    """Share of a fault's errors and delay that arrives one call further up. Default a half per hop."""
    deploys_per_day: float = Field(default=0.5, ge=0)
    """Harmless deploys per day in the history, at working hours. Default one in two days."""
    live_deploys_per_day: float = Field(default=0, ge=0)
    """The same in the live phase. Default none, so that a demonstration shows its own faults alone."""
    surge: SurgeSettings = SurgeSettings()
    """The weekly surge of visitors."""
    host: str = "127.0.0.1"
    """Address that the HTTP control listens on."""
    port: int = Field(default=8090, ge=0, le=65535)
    """Port of the HTTP control; 0 takes any free one."""


def live_start(settings: FleetSettings) -> int:
    """The event time of the live start, whole minutes in seconds since the epoch."""
    return int(settings.live_start.timestamp()) // 60 * 60
