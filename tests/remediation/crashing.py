"""What crash tests share: parts that die at the n-th place where something leaves the process, and two stories to tell.

A place is before and after each commit to SQL, each write of a checkpoint, and each call to executor, notifier and
broker. From the moment of its death a process has no effect on anything.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from remediation.settings import RemediationSettings
from sentinel.incidents import Incident
from sentinel.stores.sql.database import Database
from tests.remediation.world import EFFECTIVE, bad_deploy, connection_leak, settings, update

AUTO = settings(mode="auto", automatic=[{"action": "restart"}, {"action": "scale"}])


class Crash(BaseException):
    """The process is gone: nothing may catch this."""


class Fuse:
    """Counts places and goes off at the `at`-th (0: never)."""

    def __init__(self, at, die=None):
        self.at, self.seen, self.dead, self.off, self.die = at, 0, False, False, die

    def point(self):
        if self.off:
            return
        self.seen += 1
        if self.seen == self.at and self.die:
            self.die()
        self.dead = self.dead or self.seen == self.at
        if self.dead:
            raise Crash


class BrittleDatabase(Database):
    """Dies right before or right after a commit."""

    fuse = Fuse(0)

    def write(self):
        return _Brittle(super().write(), self, self._current() is None)


class _Brittle:
    def __init__(self, inner, database, outermost):
        self.inner, self.database, self.outermost = inner, database, outermost

    def __enter__(self):
        return self.inner.__enter__()

    def __exit__(self, kind, error, trace):
        if kind is None and self.outermost:
            try:
                self.database.fuse.point()
            except Crash as crash:
                self.inner.__exit__(Crash, crash, None)
                raise
        done = self.inner.__exit__(kind, error, trace)
        if kind is None and self.outermost:
            self.database.fuse.point()
        return done


class Brittle:
    """Dies right before or right after each call of `calls`."""

    def __init__(self, inner, fuse, calls):
        self._inner, self._fuse, self._calls = inner, fuse, calls

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name not in self._calls:
            return found

        def call(*args, **kwargs):
            self._fuse.point()
            done = found(*args, **kwargs)
            self._fuse.point()
            return done

        return call


def brittle_executor(inner, fuse):
    return Brittle(inner, fuse, {"observe", "dry_run", "apply", "verify_applied"})


def brittle_saver(saver, fuse):
    """The saver itself, from now on dying around its writes."""

    class BrittleSaver(type(saver)):  # type: ignore[misc] # whatever the saver is
        def put(self, *args):
            fuse.point()
            done = super().put(*args)
            fuse.point()
            return done

        def put_writes(self, *args):
            fuse.point()
            done = super().put_writes(*args)
            fuse.point()
            return done

    saver.__class__ = BrittleSaver
    return saver


@dataclass(frozen=True)
class Act:
    """Something happens: a person answers what is asked, messages come, time passes; then the worker works."""

    messages: tuple[object, ...] = ()
    answers: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Story:
    """What happens, and how it must end whatever dies meanwhile."""

    config: RemediationSettings
    incident: Incident
    acts: tuple[Act, ...]
    deeds: list[Any]
    results: list[str]


def _windows(one, *verdicts):
    return tuple(
        update(alert, EFFECTIVE + 60 * index, verdict)
        for index, verdict in enumerate(verdicts, start=1)
        for alert in one.alerts
    )


def approved():
    """A bad deploy, approved by a person, verified."""
    one = bad_deploy()
    acts = (Act((one,), seconds=6), Act(answers=True), Act(_windows(one, *["normal"] * 3)), Act())
    return Story(settings(), one, acts, [("rollback", "checkout", {})], ["verified"])


def undone():
    """A fix without effect, undone; then another one that does not help either; all automatic."""
    one = connection_leak()
    deeds = [("scale", "cart", {"replicas": 5}), ("scale", "cart", {"replicas": 3}), ("restart", "cart", {})]
    acts = (Act((one,), seconds=6), Act(_windows(one, *["abnormal"] * 10)), Act(), Act(seconds=4_000))
    return Story(AUTO, one, acts, deeds, ["no_effect", "no_effect", "not_executed"])


def story_is_whole(story, stores, fleet, messages):
    """The deeds once and in order, every step told once, every outcome published, nothing hanging, no decision lost."""
    assert fleet.actions == story.deeds
    assert [outcome.result.value for outcome in stores.outcomes.find()] == story.results
    assert not stores.runs.unfinished()
    kinds = [row.kind for row in stores.runs.timeline(story.incident.id)]
    first = [entry for entry in stores.ledger.find() if not entry.undo_of]
    assert kinds.count("executing") == kinds.count("executed") == len(first)
    assert kinds.count("recorded") == len(story.results)
    assert kinds.count("asked") == kinds.count("approved") == sum(act.answers for act in story.acts)
    assert stores.audit.verify().ok
    told = [record.action for record in stores.audit.records()]
    assert [action for action in told if action in set(kinds)] == kinds
    assert not stores.targets.holders([entry.action.target.key for entry in first])
    published = {msgspec.json.decode(v)["outcome_id"] for topic, _, v in messages if topic == "outcomes"}
    assert {outcome.outcome_id for outcome in stores.outcomes.find()} == published
