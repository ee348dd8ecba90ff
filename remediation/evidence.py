"""What a plan may rest on: numbered facts about an incident, and claims that must cite them.

Pure. Text that came with telemetry stays inside the facts: it informs, and is never read for a target or a command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sentinel.canonical import short_id
from sentinel.catalogue import ServiceCatalogue, ServiceEntry
from sentinel.errors import RefusedError
from sentinel.incidents import Change, Incident
from sentinel.outcomes import Outcome
from sentinel.plans import Action, Scalar, Target

HISTORY_STORE = "history"
"""The name under which `Context.missing` lists the series history, where changes come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceItem:
    """One fact. `id` is stable for the same fact; `source` says what kind of fact it is."""

    id: str
    source: str
    service: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence about the incident, with the ids of the facts that carry it."""

    text: str
    cites: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Everything that a planner sees.

    `suspect`: the service suspected first. `targets`: the services that may be acted on, by name; a plan can name no
    other. `states`: their live fields. `past`: outcomes of the earlier incidents that this one cites, oldest first.
    `changes_known` is False when the history did not answer: then no change is not the same as none known.
    """

    incident: Incident
    suspect: str
    targets: dict[str, Target]
    states: dict[str, dict[str, Scalar]]
    past: tuple[Outcome, ...]
    items: tuple[EvidenceItem, ...]
    claims: tuple[Claim, ...]

    @property
    def changes_known(self) -> bool:
        """Whether the history could be asked for changes."""
        return HISTORY_STORE not in self.incident.context.missing

    def ids(self, source: str, service: str = "") -> tuple[str, ...]:
        """Ids of the facts from one source, of one service where one is given."""
        return tuple(i.id for i in self.items if i.source == source and service in ("", i.service))


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt:
    """An attempt of this run that did not help, or that a person rejected before it could.

    No plan may contain an action again that did not help, nor be a rejected plan again. `objection` is what the person
    wrote, as it came; empty when nobody rejected it.
    """

    attempt: int
    runbook: str
    actions: tuple[Action, ...]
    result: str
    reason: str
    objection: str = ""

    @property
    def deeds(self) -> tuple[Action, ...]:
        """The actions that must not come again, whatever plan they are in."""
        return () if self.objection else self.actions


def first_suspect(incident: Incident) -> str:
    """The service suspected first; the service of the first alert, then of the incident, where no one is suspected."""
    if incident.suspects:
        return incident.suspects[0].service
    if incident.alerts:
        return incident.alerts[0].series.service
    return incident.services[0] if incident.services else ""


def candidate_targets(incident: Incident, catalogue: ServiceCatalogue) -> dict[str, Target]:
    """The services of the incident that the catalogue knows, as targets: the only ones that a plan may act on."""
    suspects = tuple(suspect.service for suspect in incident.suspects)
    names = dict.fromkeys((first_suspect(incident), *suspects, *incident.services))
    known = {name: catalogue.services[name] for name in names if name in catalogue.services}
    return {name: target_of(name, entry) for name, entry in known.items()}


def target_of(service: str, entry: ServiceEntry) -> Target:
    """What is acted on when something is done to a service of the catalogue."""
    if not entry.resource:
        return Target(backend=entry.backend, kind="service", name=service)
    namespace, kind, name = entry.resource.split("/", 2)
    return Target(backend=entry.backend, kind=kind, name=name, namespace=namespace, service=service)


def analyse(
    incident: Incident,
    targets: dict[str, Target],
    states: dict[str, dict[str, Scalar]],
    past: Sequence[Outcome],
) -> Analysis:
    """Number the facts, and say what they mean in claims that cite them."""
    items = _items(incident, states, past)
    suspect = first_suspect(incident)
    claims = check_claims(_claims(incident, suspect, items), items)
    return Analysis(
        incident=incident,
        suspect=suspect,
        targets=targets,
        states=states,
        past=tuple(past),
        items=items,
        claims=claims,
    )


def check_claims(claims: Sequence[Claim], items: Sequence[EvidenceItem]) -> tuple[Claim, ...]:
    """The claims unchanged; raises `RefusedError` (rule `evidence`) for one that cites nothing or an unknown id."""
    known = {item.id for item in items}
    for claim in claims:
        check_cites(claim.text, claim.cites, known)
    return tuple(claims)


def check_cites(text: str, cites: Sequence[str], known: set[str]) -> None:
    """Raise `RefusedError` (rule `evidence`) unless `cites` holds at least one id and only known ones."""
    if not cites:
        raise RefusedError("evidence", f"{text!r} cites no evidence")
    if unknown := sorted(set(cites) - known):
        raise RefusedError("evidence", f"{text!r} cites unknown evidence {', '.join(unknown)}")


def recent_changes(incident: Incident, service: str, kind: str, within: float) -> tuple[Change, ...]:
    """Changes of one kind at one service that may have caused its alerts, newest first.

    They happened in the `within` event seconds before the last of its alerts began. A change that was rolled back since
    is none: what runs now is what ran before it.
    """
    own = [alert for alert in incident.alerts if alert.series.service == service] or incident.alerts
    onset = max((alert.onset_at for alert in own), default=incident.opened_at)
    # A deploy inside the first abnormal window has a time after the window's start.
    width = max((alert.window_seconds for alert in own), default=0.0)
    found = [
        change
        for change in incident.context.changes
        if change.service == service
        and change.kind.removeprefix("change.") == kind
        and onset - within <= change.at <= onset + width
    ]
    found.sort(key=lambda change: change.at, reverse=True)
    return () if found and found[0].labels.get("cause") == "rollback" else tuple(found)


def _items(
    incident: Incident, states: Mapping[str, dict[str, Scalar]], past: Sequence[Outcome]
) -> tuple[EvidenceItem, ...]:
    found: list[EvidenceItem] = []

    def add(source: str, service: str, text: str, *key: object) -> None:
        found.append(EvidenceItem(id=short_id("ev", source, service, *key), source=source, service=service, text=text))

    for alert in incident.alerts:
        text = alert.text or f"{alert.series.key} is {alert.value} (expected {alert.expected})"
        add("alert", alert.series.service, f"{alert.kind}: {text}", alert.alert_id)
    for suspect in incident.suspects:
        add("suspect", suspect.service, f"score {suspect.score:.2f}: {'; '.join(suspect.reasons)}", suspect.service)
    for change in incident.context.changes:
        labels = " ".join(f"{key}={value}" for key, value in sorted(change.labels.items()))
        add("change", change.service, f"{change.kind} at {change.at:.0f} {labels}".rstrip(), change.kind, change.at)
    for fact in incident.context.history:
        add("history", "", fact.text, fact.series_key)
    for similar in incident.context.similar:
        ended = f"{similar.outcome or 'outcome unknown'} {similar.action}".rstrip()
        add("similar", similar.service, f"{similar.incident_id}: {similar.title}: {ended}", similar.incident_id)
    for outcome in past:
        text = (
            f"{outcome.incident_id}: {', '.join(outcome.actions) or 'nothing'} by {outcome.runbook}: {outcome.result}"
        )
        add("outcome", outcome.service, text, outcome.outcome_id)
    for service, state in states.items():
        add("target", service, " ".join(f"{key}={value}" for key, value in sorted(state.items())), service)
    for store in incident.context.missing:
        add("missing", "", f"{store} did not answer", store)
    return tuple(found)


def _claims(incident: Incident, suspect: str, items: Sequence[EvidenceItem]) -> list[Claim]:
    claims = []
    blamed = tuple(i.id for i in items if i.source in ("suspect", "alert") and i.service == suspect)
    if blamed:
        claims.append(Claim(text=f"{suspect} is suspected first", cites=blamed))
    changed = tuple(i.id for i in items if i.source == "change" and i.service == suspect)
    if changed:
        claims.append(Claim(text=f"{suspect} changed lately", cites=changed))
    before = tuple(i.id for i in items if i.source in ("similar", "outcome"))
    if before:
        cited = incident.recurrence_of or "a similar incident"
        claims.append(Claim(text=f"this looks like {cited}", cites=before))
    unknown = tuple(i.id for i in items if i.source == "missing")
    if unknown:
        claims.append(Claim(text="part of the context is missing", cites=unknown))
    return claims
