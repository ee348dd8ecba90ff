"""Which service is behind an incident: a fault shows in its callers, so look where the callees are quiet. Pure.

Each piece of evidence is a number in [0, 1] and, where it speaks, a sentence; the score of a service is their weighted
mean (`SuspectSettings`). The strongest evidence is the call graph: errors and latency travel from callee to caller, so
a firing service whose own callees are quiet, and whose firing callers it explains, is where to look first. A recent
change, an early onset, a kind of fault that does not travel and a strong deviation add to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from operators.incident_settings import SuspectSettings
from operators.incident_topology import dependencies
from sentinel.alerts import FaultKind
from sentinel.catalogue import ServiceCatalogue
from sentinel.incidents import Change, IncidentAlert, Suspect

TRAVELLING = frozenset({FaultKind.ERRORS, FaultKind.LATENCY, FaultKind.AVAILABILITY})
"""Kinds that show in the callers of the service where the fault is."""

LOCAL = frozenset({FaultKind.SATURATION, FaultKind.DATA})
"""Kinds that stay in the service where the fault is. Traffic is neither: it comes from callers."""

_HOPS = 4
"""Calls that are followed when firing callers are explained; faults fade, and longer ways explain everything."""

_ONSET_SPAN = 600.0
"""Seconds after the first onset at which being early is worth nothing any more."""


@dataclass(frozen=True, slots=True)
class _Firing:
    """The evidence of one service's alerts: first onset and its window, kinds, strongest score over its threshold."""

    service: str
    onset: float
    window: float
    kinds: frozenset[FaultKind]
    strength: float


@dataclass(frozen=True, slots=True)
class _Evidence:
    """One piece of evidence: its value in [0, 1] and a sentence, empty where there is nothing to say."""

    value: float
    reason: str = ""


def rank(
    alerts: Sequence[IncidentAlert], catalogue: ServiceCatalogue, changes: Sequence[Change], settings: SuspectSettings
) -> tuple[Suspect, ...]:
    """Rank the services of `alerts`, and quiet callees of them that changed, most suspect first.

    Resolved alerts count like firing ones: the order must not turn while an incident heals. Ties go to the earlier onset,
    then to the name.
    """
    firing = _firing_services(alerts)
    if not firing:
        return ()
    first = min(item.onset for item in firing.values())
    ranked = [(_judge(item, firing, catalogue, changes, settings), item.onset) for item in firing.values()]
    ranked += [(suspect, first) for suspect in _changed_callees(firing, catalogue, changes, settings)]
    ranked.sort(key=lambda pair: (-pair[0].score, pair[1], pair[0].service))
    return tuple(suspect for suspect, _ in ranked)


def _firing_services(alerts: Sequence[IncidentAlert]) -> dict[str, _Firing]:
    by_service: dict[str, list[IncidentAlert]] = {}
    for alert in alerts:
        by_service.setdefault(alert.series.service, []).append(alert)
    return {
        service: _Firing(
            service=service,
            onset=min(alert.onset_at for alert in own),
            window=max(alert.window_seconds for alert in own),
            kinds=frozenset(alert.kind for alert in own),
            strength=max(alert.score / alert.threshold if alert.threshold > 0 else alert.score for alert in own),
        )
        for service, own in by_service.items()
    }


def _judge(
    item: _Firing,
    firing: dict[str, _Firing],
    catalogue: ServiceCatalogue,
    changes: Sequence[Change],
    settings: SuspectSettings,
) -> Suspect:
    weighed = (
        (settings.topology / 2, _quiet_callees(item, firing, catalogue)),
        (settings.topology / 2, _explained(item.service, firing, catalogue)),
        (settings.onset, _early(item, firing)),
        (settings.kind, _local_kind(item)),
        (settings.strength, _strength(item, firing)),
        (settings.change, _changed(item.service, item.onset + item.window, changes, settings)),
    )
    return _suspect(item.service, weighed)


def _suspect(service: str, weighed: Sequence[tuple[float, _Evidence]]) -> Suspect:
    total = sum(weight for weight, _ in weighed)
    score = sum(weight * evidence.value for weight, evidence in weighed) / total
    reasons = tuple(evidence.reason for _, evidence in weighed if evidence.reason)
    return Suspect(service=service, score=round(min(1.0, max(0.0, score)), 4), reasons=reasons)


def _quiet_callees(item: _Firing, firing: dict[str, _Firing], catalogue: ServiceCatalogue) -> _Evidence:
    if not item.kinds & (TRAVELLING | LOCAL):
        return _Evidence(0.0, f"Only the traffic of {item.service} is unusual, which its callers decide.")
    below = dependencies(catalogue, item.service, _HOPS)
    guilty = [
        name for name in below if name != item.service and name in firing and firing[name].kinds & (TRAVELLING | LOCAL)
    ]
    if guilty:
        # A callee explains its caller only as far as it deviates as much: a weak deviation below is often chance.
        worst = max(_damped(firing[name]) for name in guilty)
        share = min(1.0, worst / _damped(item)) if item.strength > 0 else 1.0
        text = f"{item.service} depends on {_names(guilty)}, which {_is(guilty)} firing too"
        return _Evidence(1.0 - share, f"{text}{', if far less' if share < 0.5 else ''}.")
    if not catalogue.callees(item.service):
        return _Evidence(1.0, f"{item.service} calls no other service, so the fault is not passed on to it.")
    return _Evidence(1.0, f"None of the services that {item.service} calls is firing.")


def _explained(service: str, firing: dict[str, _Firing], catalogue: ServiceCatalogue) -> _Evidence:
    others = sorted(name for name in firing if name != service)
    if not others:
        return _Evidence(1.0)
    callers = [name for name in others if service in dependencies(catalogue, name, _HOPS)]
    if not callers:
        return _Evidence(0.0)
    # Strong deviations need an explanation more than weak ones do.
    share = sum(_damped(firing[name]) for name in callers) / max(sum(_damped(firing[name]) for name in others), 1e-9)
    return _Evidence(share, f"{_names(callers)} {_depends(callers)} on {service} and {_is(callers)} firing too.")


def _early(item: _Firing, firing: dict[str, _Firing]) -> _Evidence:
    first = min(other.onset for other in firing.values())
    later = [other.onset for other in firing.values() if other.service != item.service]
    lead = min(later) - item.onset if later else 0.0
    value = max(0.0, 1.0 - (item.onset - first) / _ONSET_SPAN)
    return _Evidence(value, f"{item.service} deviated first, {_minutes(lead)} before the next." if lead > 0 else "")


def _local_kind(item: _Firing) -> _Evidence:
    local = sorted(kind.value for kind in item.kinds & LOCAL)
    text = f"Its {' and '.join(local)} deviates, which does not travel along calls." if local else ""
    return _Evidence(1.0 if local else 0.0, text)


def _strength(item: _Firing, firing: dict[str, _Firing]) -> _Evidence:
    strengths = [other.strength for other in firing.values()]
    most = max(strengths)
    value = _damped(item) / max(_damped(other) for other in firing.values()) if most > 0 else 0.0
    strongest = len(strengths) > 1 and item.strength == most > 0 and strengths.count(most) == 1
    text = f"Its deviation is the strongest, {item.strength:.1f} times its threshold." if strongest else ""
    return _Evidence(value, text)


def _damped(item: _Firing) -> float:
    """Strength on a logarithmic scale: scores of quiet series explode, and ten times as much is not ten times as sure."""
    return math.log1p(max(0.0, item.strength))


def _changed(service: str, before: float, changes: Sequence[Change], settings: SuspectSettings) -> _Evidence:
    """A change counts up to the end of the onset window: a deploy inside that window has an onset before itself."""
    own = [change for change in changes if change.service == service and change.at <= before]
    last = max(own, key=lambda change: (change.at, change.kind), default=None)
    if last is None:
        return _Evidence(0.0)
    age = before - last.at
    span = settings.change_look_back_seconds - settings.change_fresh_seconds
    fading = (
        1.0 - (age - settings.change_fresh_seconds) / span if span > 0 else float(age <= settings.change_fresh_seconds)
    )
    value = min(1.0, max(0.0, fading))
    version = last.labels.get("version", "")
    what = f"{last.kind.removeprefix('change.')} of {service}{f' to {version}' if version else ''}"
    return _Evidence(
        value, f"A {what} came {_minutes(age)} before the end of its first abnormal window." if value else ""
    )


def _changed_callees(
    firing: dict[str, _Firing], catalogue: ServiceCatalogue, changes: Sequence[Change], settings: SuspectSettings
) -> list[Suspect]:
    """Quiet services directly below a firing one that changed just before: a fault there may show in callers alone."""
    before = min(item.onset + item.window for item in firing.values())
    travelling = [item.service for item in firing.values() if item.kinds & TRAVELLING]
    below = sorted({callee for name in travelling for callee in catalogue.callees(name)} - firing.keys())
    found = []
    for service in below:
        changed = _changed(service, before, changes, settings)
        if changed.value > 0:
            weighed = (
                (settings.topology / 2, _explained(service, firing, catalogue)),
                (settings.change, changed),
                (settings.topology / 2 + settings.onset + settings.kind + settings.strength, _Evidence(0.0)),
            )
            found.append(_suspect(service, weighed))
    return found


def _names(services: Sequence[str]) -> str:
    ordered = sorted(services)
    if len(ordered) > 3:
        return f"{', '.join(ordered[:3])} and {len(ordered) - 3} more"
    return " and ".join([", ".join(ordered[:-1]), ordered[-1]] if len(ordered) > 1 else ordered)


def _is(services: Sequence[str]) -> str:
    return "is" if len(services) == 1 else "are"


def _depends(services: Sequence[str]) -> str:
    return "depends" if len(services) == 1 else "depend"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
