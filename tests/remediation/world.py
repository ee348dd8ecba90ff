"""A worker in a small world: real stores, graph and checkpoints; a fleet of a few lines; a clock that tests move."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from remediation.graph import build_graph
from remediation.intake import CONSUMER, Intake
from remediation.journal import Journal
from remediation.parts import Parts
from remediation.planners.runbook import RunbookPlanner
from remediation.publishing import Outbox
from remediation.runbooks import load_runbooks
from remediation.settings import Mode, RemediationSettings
from remediation.worker import Worker
from sentinel.alerts import AlertMessage, AlertState, FaultKind, Resolution, Severity, WindowVerdict
from sentinel.approvals import ApprovalStatus, Choice, Role
from sentinel.catalogue import ServiceCatalogue
from sentinel.incidents import Change, Context, Incident, IncidentAlert, IncidentStatus, Suspect
from sentinel.kafka import Record
from sentinel.safety import GLOBAL
from sentinel.series import Series, Window
from sentinel.stores.sql.approvals import Answer
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.stores import SqlStores
from sentinel.topics import Topics, encode
from tests.remediation.fleet_double import FleetDouble
from tests.remediation.inline_pool import InlinePool

RUNBOOKS = Path(__file__).parents[2] / "config" / "runbooks"
CATALOGUE = ServiceCatalogue.model_validate(
    {
        "services": {
            "web": {"calls": ["checkout", "cart"], "tier": 1},
            "checkout": {"calls": ["payments"], "tier": 1},
            "cart": {"tier": 2},
            "payments": {"tier": 0},
        }
    }
)
TOPICS = Topics()
EFFECTIVE = 10_000.0
"""Event time at which the double's actions take effect."""


def settings(**policy):
    shown = {
        "mode": "approve",
        "allow": [{"actions": ["restart", "rollback", "scale"], "name": "*"}],
        **policy,
    }
    return RemediationSettings.model_validate({"policy": shown, "worker": {"settle": 5}})


class Clock:
    """Wall time that moves when a test moves it, and a little with each look, so that rows have an order."""

    def __init__(self, at=1_000_000.0):
        self.at = at

    def __call__(self):
        self.at += 0.001
        return self.at


class Source:
    """Messages that tests push; read from a position as a broker would give them."""

    def __init__(self, log, positions=None):
        self.log = log
        self.positions = dict(positions or {})

    def take(self, limit=500, timeout=0.2):
        found = [r for r in self.log if r.offset >= self.positions.get((r.topic, r.partition), 0)][:limit]
        self.positions.update({(r.topic, r.partition): r.offset + 1 for r in found})
        return found

    def close(self):
        pass


class Sink:
    def __init__(self):
        self.messages = []

    def publish(self, topic, key, value, headers=None):
        self.messages.append((topic, key, value))

    def flush(self):
        pass


class Notices:
    def __init__(self):
        self.notices = []

    def notify(self, notice):
        self.notices.append(notice)


def trust(url):
    """Somebody closed every breaker that there is, long ago."""
    database = Database(url)
    types = [f"type:{kind}" for kind in ("restart", "rollback", "scale")]
    for scope in (GLOBAL, *types, *(f"target:fleet//service/{name}" for name in CATALOGUE.services)):
        SqlStores.over(database).breakers.close(scope, actor="ann", reason="tried", now=1.0)
    database.close()


class World:
    """Everything one worker has. `restart()` builds a new worker over the same database, checkpoints and topics."""

    follow = None

    def __init__(
        self, database, open_saver, config=None, *, planner=None, executor=None, trusted=True, owner="test",
        ticks=None, limiter=None, services=CATALOGUE,
    ):  # fmt: skip
        self.clock, self.fleet = Clock(), FleetDouble(*CATALOGUE.services)
        self.owner, self.ticks = owner, ticks or self.clock
        self.log: list[Record] = []
        self.sink: Any = Sink()
        self.notices: Any = Notices()
        self.settings = config or settings()
        self.planner = planner or RunbookPlanner(load_runbooks(RUNBOOKS))
        self.stores = SqlStores.over(database)
        self.executor = executor(self.fleet.executor()) if executor else self.fleet.executor()
        self._open_saver, self.limiter, self.services = open_saver, limiter, services
        if trusted and self.settings.policy.mode is Mode.AUTO:
            trust(database.url.render_as_string(hide_password=False))
        self.restart()

    def restart(self):
        journal = Journal(self.stores, self.clock, self.settings.hash)
        self.parts = Parts(
            settings=self.settings,
            services=self.services,
            stores=self.stores,
            planner=self.planner,
            executors=self.executors(),
            notifier=self.notices,
            journal=journal,
            now=self.clock,
            limiter=self.limiter,
        )
        self.graph = build_graph(self.parts, self._open_saver())
        source = Source(self.log, self.stores.projection.offsets(CONSUMER))
        self.worker = Worker(
            self.parts,
            self.graph,
            Intake(source, self.stores.projection, TOPICS, self.follow),
            Outbox(self.sink, TOPICS, self.stores.outcomes, journal, InlinePool()),
            owner=self.owner,
            pool=InlinePool(),
            ticks=self.ticks,
        )
        self.worker.recover()

    def executors(self):
        """By backend, for each new worker."""
        return {self.executor.backend: self.executor}

    def push(self, *messages):
        for message in messages:
            topic = TOPICS.incidents if isinstance(message, Incident) else TOPICS.alerts
            offset = sum(record.topic == topic for record in self.log)
            self.log.append(Record(topic, 0, offset, "", encode(message), 0.0))

    def steps(self, count=4):
        for _ in range(count):
            self.worker.step(0)

    def open(self, incident):
        """The incident comes in, and its time to settle passes."""
        self.push(incident)
        self.steps(1)
        self.clock.at += 6
        self.steps()

    def pending(self):
        return list(self.stores.approvals.find(status=ApprovalStatus.PENDING).items)

    def answer(self, choice=Choice.APPROVE, request=None, **more):
        request = request or self.pending()[0]
        given = {"actor": "ann", "role": Role.APPROVER, "reason": "ok", **more}
        answer = Answer(request_id=request.id, digest=request.digest, choice=choice, **given)
        return self.stores.approvals.decide(answer, now=self.clock.at)[0]

    def windows(self, incident, *verdicts, first=EFFECTIVE + 60, score=5.0):
        """One update for each of the incident's alerts and verdict, minute by minute."""
        for index, verdict in enumerate(verdicts):
            start = first + 60 * index
            self.push(*(update(alert, start, verdict, score) for alert in incident.alerts))
        self.steps()

    def kinds(self, incident):
        return [row.kind for row in self.stores.runs.timeline(incident.id)]

    def results(self, incident):
        return [outcome.result.value for outcome in self.stores.outcomes.find(incident.id)]


def alert(
    service="checkout", metric="error_ratio", kind=FaultKind.ERRORS, onset=9_000.0, **changes: object
) -> IncidentAlert:
    fields: dict[str, Any] = {
        "alert_id": f"alr-{service}-{metric}",
        "series": Series.of(metric, {"service": service}),
        "rule": "default",
        "kind": kind,
        "severity": Severity.ERROR,
        "firing": True,
        "verdict": WindowVerdict.ABNORMAL,
        "resolution": None,
        "onset_at": onset,
        "fired_at": onset + 120,
        "last_window_end": onset + 120,
        "value": 0.4,
        "expected": 0.01,
        "score": 5.0,
        "text": f"{metric} is high",
    }
    return IncidentAlert(**{**fields, **changes})


def deploy(service="checkout", at=8_900.0):
    return Change(at=at, service=service, kind="deploy", labels={"version": "1.1.0"})


def incident(*alerts, suspect="checkout", changes=(), **more: object) -> Incident:
    alerts = alerts or (alert(),)
    fields: dict[str, Any] = {
        "id": "inc-1",
        "revision": 1,
        "fingerprint": "fp-1",
        "status": IncidentStatus.OPEN,
        "title": f"errors at {suspect}",
        "kind": alerts[0].kind,
        "severity": Severity.ERROR,
        "opened_at": 9_120.0,
        "updated_at": 9_120.0,
        "resolved_at": None,
        "detected_at": 1_000_000.0,
        "services": tuple(dict.fromkeys(a.series.service for a in alerts)),
        "alerts": tuple(alerts),
        "suspects": (Suspect(service=suspect, score=0.9, reasons=("it began there",)),),
        "context": Context(changes=tuple(changes)),
        "recurrence_of": "",
        "trace_id": "0" * 31 + "7",
        "config_hash": "abc",
    }
    return Incident(**{**fields, **more})


def bad_deploy(**more):
    return incident(changes=(deploy(),), **more)


def memory_leak(service="cart", **more):
    return incident(alert(service, "memory_ratio", FaultKind.SATURATION), suspect=service, **more)


def connection_leak(service="cart", **more):
    return incident(alert(service, "cpu_ratio", FaultKind.SATURATION), suspect=service, **more)


def later(one, **changes):
    return replace(one, revision=one.revision + 1, **changes)


def update(one, start, verdict, score=5.0, state=AlertState.UPDATE, resolution=None) -> AlertMessage:
    end = start + 60
    return AlertMessage(
        message_id=f"{one.alert_id}:{AlertState(state)}:{int(end)}",
        alert_id=one.alert_id,
        state=AlertState(state),
        verdict=WindowVerdict(verdict),
        reason="",
        rule=one.rule,
        kind=one.kind,
        severity=one.severity,
        series=one.series,
        window=Window(start, end),
        value=1.0,
        score=score,
        threshold=3.0,
        findings=(),
        onset_at=one.onset_at,
        fired_at=one.fired_at,
        detected_at=0.0,
        trace_id="",
        config_hash="",
        resolution=Resolution(resolution) if resolution else None,
    )


def firing(one) -> AlertMessage:
    """The message with which an alert begins."""
    return update(one, one.fired_at - 60, "abnormal", state=AlertState.FIRING)
