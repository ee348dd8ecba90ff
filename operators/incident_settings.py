"""The settings of the incidents flow: how alerts are grouped, how suspects are weighed, what is looked up."""

from __future__ import annotations

from pydantic import Field, model_validator

from sentinel.config import Section


class GroupingSettings(Section):
    """When an alert joins an open incident, and when an incident ends."""

    window_seconds: float = Field(default=600.0, gt=0)
    """Event time between the onsets of two alerts of different services within which one fault may explain both.
    Default 10 minutes: a fault reaches its callers within a few one-minute windows, and two unrelated faults of
    neighbours so close together are rare."""
    reach: int = Field(default=4, ge=0, le=8)
    """Calls that a fault travels from a service that has an alert itself. All services of an incident must have one
    cause in common that each of them reaches. Default 4, because a fault in the back still shows at the front door."""
    quiet_reach: int = Field(default=3, ge=0, le=8)
    """The same from a cause that has no alert (yet): callers often fire before the service where the fault is. Default
    3; each further call joins more unrelated services through some shared database."""
    linger_seconds: float = Field(default=300.0, ge=0)
    """Event time that an incident stays open after its last alert resolved, so that a flapping alert comes back to it
    instead of making a second one. Default 5 minutes."""
    idle_seconds: float = Field(default=360.0, gt=0)
    """Wall time without any alert message after which the linger counts as over, because nothing moves event time.
    At least `linger_seconds` where telemetry is live (the default); less where event time runs faster (a demo)."""
    remembered_alerts: int = Field(default=10_000, ge=0)
    """Ids of ended alerts that are kept to recognise messages that are repeated after a crash."""


class SuspectSettings(Section):
    """What each piece of evidence weighs when suspects are ranked; only the ratios matter."""

    topology: float = Field(default=0.40, ge=0)
    """Weight of the call graph: the service's own callees are quiet, and its firing callers are explained by it."""
    onset: float = Field(default=0.10, ge=0)
    """Weight of being early. Small, because windows make onsets coarse and time-outs make callers look early."""
    kind: float = Field(default=0.10, ge=0)
    """Weight of a kind of fault that does not travel along calls (saturation, availability, data)."""
    strength: float = Field(default=0.15, ge=0)
    """Weight of the strongest deviation relative to its threshold."""
    change: float = Field(default=0.25, ge=0)
    """Weight of a change (a deploy) at the service shortly before its onset."""
    change_fresh_seconds: float = Field(default=600.0, ge=0)
    """A change so long before the onset has its full weight. Default 10 minutes."""
    change_look_back_seconds: float = Field(default=3600.0, gt=0)
    """A change so long before the onset has no weight any more. Default 1 hour."""

    @model_validator(mode="after")
    def _something_weighs(self) -> SuspectSettings:
        if self.topology + self.onset + self.kind + self.strength + self.change <= 0:
            raise ValueError("every weight is 0, so that nothing could be ranked; give at least one a positive value")
        return self


class EnrichSettings(Section):
    """What is looked up for an incident, and how long a store that is away is left alone."""

    similar: int = Field(default=3, ge=0, le=20)
    """How many earlier incidents are cited at most."""
    history_series: int = Field(default=8, ge=0)
    """Series of one incident that are compared with last week at most; each costs two reads of the history."""
    trend_seconds: float = Field(default=3 * 3600.0, gt=0)
    """Length of the piece before the onset whose trend is reported. Default 3 hours."""
    breaker_seconds: float = Field(default=30.0, gt=0)
    """Wall time for which a store that failed is not asked again, so that no incident waits for its time-outs twice."""
    recheck_seconds: float = Field(default=2.0, gt=0)
    """Wall time after a look-up at which changes are looked up once more: the archive may lag a moment behind. As long as
    it has not come up to the incident (after a crash), again and again, with a pause that doubles up to half a minute."""
    retry_seconds: float = Field(default=5.0, gt=0)
    """Wall time between attempts to write to the incident memory while it is away."""


class IncidentSettings(Section):
    """Settings of the flow from alerts to incidents."""

    grouping: GroupingSettings = GroupingSettings()
    """When an alert joins an open incident, and when an incident ends."""
    suspects: SuspectSettings = SuspectSettings()
    """What each piece of evidence weighs when suspects are ranked."""
    enrich: EnrichSettings = EnrichSettings()
    """What is looked up for an incident."""
