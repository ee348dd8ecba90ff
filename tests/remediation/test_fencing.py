"""Who may act: one run on a target at a time, one worker on a run, and whoever was taken for dead does nothing more."""

import threading

import pytest

from remediation.checkpoints import open_checkpointer
from sentinel.canonical import short_id
from sentinel.errors import LeaseLostError
from sentinel.incidents import IncidentStatus
from sentinel.runs import LedgerStatus, Run, RunStatus
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from tests.remediation.world import Clock, World, bad_deploy, connection_leak, later, settings

LEASE = 15.0
AUTO = {"mode": "auto", "automatic": [{"action": "scale"}, {"action": "restart"}]}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])])
def database(request, tmp_path):
    url = f"sqlite:///{tmp_path}/sentinel.db"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_database")
    database = Database(url)
    migrate(database)
    yield database
    database.close()


@pytest.fixture
def two(database):
    """Two workers over one database, one fleet and the same topics, each with clocks of its own."""
    with open_checkpointer(database) as saver:
        one = World(database, lambda: saver, owner="one", ticks=Clock(0.0))
        other = World(database, lambda: saver, owner="other", ticks=Clock(5_000.0))
        other.log, other.fleet, other.executor = one.log, one.fleet, one.executor
        one.restart()
        other.restart()
        yield one, other


def elapse(*worlds, seconds):
    for world in worlds:
        world.clock.at += seconds
        world.ticks.at += seconds


def aside(deed):
    """In a thread of its own, as another process would: outside every context of the caller."""
    thread = threading.Thread(target=deed)
    thread.start()
    thread.join(60)


def take_over(world):
    """The world's worker looks, waits for as long as a lease, looks again, and works."""
    world.steps(2)
    for _ in range(10):
        world.ticks.at += LEASE / 8
        world.steps(2)


class Pausing:
    """Something whose method `name` does as always, but first, once, the process is paused and `meanwhile` happens."""

    def __init__(self, inner, name, meanwhile):
        self._inner, self._name, self._meanwhile = inner, name, meanwhile

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name != self._name or self._meanwhile is None:
            return found
        meanwhile, self._meanwhile = self._meanwhile, None

        def paused(*args, **kwargs):
            aside(meanwhile)
            return found(*args, **kwargs)

        return paused


def asked_and_approved(world):
    one = bad_deploy()
    world.push(one)
    world.steps(1)
    elapse(world, seconds=6)
    world.steps()
    world.answer()
    return one


@pytest.mark.parametrize("call", ["dry_run", "apply"])
def test_a_worker_that_was_paused_around_the_call_acts_no_more(two, call):
    """`dry_run` is before the intent, `apply` after the last check: there the key makes it one deed."""
    one, other = two
    incident = asked_and_approved(one)
    one.executor = Pausing(one.executor, call, lambda: take_over(other))
    one.restart()
    one.steps()
    assert one.fleet.actions == [("rollback", "checkout", {})]
    (entry,) = one.stores.ledger.find(incident_id=incident.id)
    assert entry.status is LedgerStatus.APPLIED
    kinds = one.kinds(incident)
    assert kinds.count("executing") == kinds.count("executed") == 1
    run = one.stores.runs.find()[0]
    assert (run.status, run.lease_owner) == (RunStatus.VERIFYING, "other")


def test_a_worker_that_was_paused_between_intent_and_call_does_not_call(two):
    one, other = two
    asked_and_approved(one)
    calls = []

    class Counting:
        def __init__(self, inner, name):
            self.inner, self.name, self.backend = inner, name, "fleet"

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def apply(self, *args):
            calls.append(self.name)
            return self.inner.apply(*args)

    one.executor, other.executor = Counting(one.executor, "one"), Counting(other.executor, "other")
    other.restart()
    one.restart()
    stores = one.parts.stores
    switch = Pausing(stores.kill_switch, "read", None)
    reads: list[int] = []

    class Paused:
        """The kill switch is read last before the call: when the intent is written, the process is paused there."""

        def __getattr__(self, name):
            return getattr(switch, name)

        def read(self):
            if stores.ledger.find(status=LedgerStatus.STARTED) and not reads:
                reads.append(1)
                aside(lambda: take_over(other))
            return switch.read()

    object.__setattr__(stores, "kill_switch", Paused())
    one.steps()
    assert reads == [1]
    assert calls == ["other"]
    assert one.fleet.actions == [("rollback", "checkout", {})]


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
@pytest.mark.parametrize("whose", [0, 1])
def test_clocks_that_jump_neither_take_leases_nor_hold_them(two, jump, whose):
    one, other = two
    one.push(bad_deploy())
    one.steps(1)
    two[whose].clock.at += jump
    elapse(one, other, seconds=6)
    one.steps()
    run = one.stores.runs.find()[0]
    assert run.status is RunStatus.WAITING, "the jump did not put off the run's beginning"
    epoch = one.stores.runs.claim(run.id, owner="one", now=one.clock(), seconds=LEASE)
    with one.stores.runs.holding(run.id, epoch):
        other.restart()
        other.steps(6)
        one.stores.runs.still_held()
    two[whose].clock.at -= jump
    take_over(other)
    for request in one.pending():
        other.answer(request=request)
    take_over(other)
    assert one.fleet.actions == [("rollback", "checkout", {})]


def test_a_dead_workers_run_is_taken_over_within_its_lease(two):
    one, other = two
    incident = asked_and_approved(one)
    run = one.stores.runs.find()[0]
    one.stores.runs.claim(run.id, owner="one", now=one.clock(), seconds=LEASE)  # and dies
    other.steps()
    assert one.fleet.actions == []
    began = other.ticks.at
    while not one.fleet.actions:
        other.ticks.at += 0.2
        other.steps(1)
        assert other.ticks.at - began < LEASE
    assert one.kinds(incident).count("executed") == 1


def test_a_worker_takes_up_what_another_one_left_unbegun(two):
    """A run that was written down, and whose worker died before it drove it."""
    one, other = two
    incident = bad_deploy()
    one.stores.incidents.upsert(incident)
    run_id = short_id("run", incident.id)
    one.stores.runs.start(
        Run(
            id=run_id, incident_id=incident.id, attempt=1, status=RunStatus.RUNNING, thread_id=run_id,
            created_at=1.0, updated_at=1.0,
        )
    )  # fmt: skip
    elapse(other, seconds=3)
    other.steps()
    assert len(other.pending()) == 1


def test_a_checkpoint_of_a_worker_that_lost_its_lease_is_not_written(two, database):
    one, _ = two
    asked_and_approved(one)
    run = one.stores.runs.find()[0]
    saver = one.graph.checkpointer
    config = {"configurable": {"thread_id": run.thread_id, "checkpoint_ns": ""}}
    found = saver.get_tuple(config)
    with one.stores.runs.holding(run.id, run.epoch + 1), pytest.raises(LeaseLostError):
        saver.put(found.config, found.checkpoint, {}, {})
    with one.stores.runs.holding(run.id, run.epoch + 1), pytest.raises(LeaseLostError):
        saver.put_writes(found.config, [("go", "x")], "task")
    with one.stores.runs.holding(run.id, run.epoch):
        saver.put_writes(found.config, [("go", "x")], "task")


def same_target():
    return connection_leak(), connection_leak(id="inc-2", fingerprint="fp-2")


def test_a_second_plan_on_a_target_waits_for_the_first_and_then_looks_anew(world):
    first, second = same_target()
    world.open(first)
    world.open(second)
    for request in world.pending():
        world.answer(request=request)
    world.steps()
    assert world.fleet.actions == [("scale", "cart", {"replicas": 5})]
    waiting = next(one for one in (first, second) if "queued" in world.kinds(one))
    acting = second if waiting is first else first
    row = next(row for row in world.stores.runs.timeline(waiting.id) if row.kind == "queued")
    assert "in the hands of run-" in row.text
    world.steps(10)
    assert len(world.fleet.actions) == 1
    world.windows(acting, "normal", "normal", "normal")
    world.steps()
    assert world.results(acting) == ["verified"]
    assert "superseded" in world.kinds(waiting), "the target is not what was approved"
    assert len(world.fleet.actions) == 1
    assert not world.stores.targets.holders(["fleet//service/cart"])
    world.answer()
    world.steps()
    assert [kind for kind, _, _ in world.fleet.actions] == ["scale", "scale"]


def test_a_second_automatic_plan_goes_on_by_itself(make_world):
    world = make_world(settings(**AUTO))
    first, second = same_target()
    world.open(first)
    world.open(second)
    assert world.fleet.actions == [("scale", "cart", {"replicas": 5})]
    assert "queued" in world.kinds(second)
    world.windows(first, "normal", "normal", "normal")
    world.steps()
    assert world.results(first) == ["verified"]
    assert [params for _, _, params in world.fleet.actions] == [{"replicas": 5}, {"replicas": 7}]


def test_a_target_is_given_back_between_two_attempts(world):
    first, second = same_target()
    world.open(first)
    world.answer()
    world.steps()
    world.open(second)
    waiting = world.pending()[0]
    world.windows(first, *["abnormal"] * 10)
    world.steps()
    assert "recorded" in world.kinds(first)
    assert not world.stores.runs.get(world.stores.runs.find(incident_id=first.id)[0].id).status.final
    assert not world.stores.targets.holders(["fleet//service/cart"]), "the next attempt only asks"
    world.answer(request=waiting)
    world.steps()
    assert "queued" not in world.kinds(second)


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_run_begins_in_time_whatever_the_wall_clock_says(two, jump):
    one, _ = two
    one.clock.at += jump
    one.push(bad_deploy())
    one.steps(1)
    one.ticks.at += 6
    one.steps()
    assert len(one.stores.runs.find()) == 1


def test_a_run_that_waits_for_a_target_ends_when_its_incident_does(make_world):
    world = make_world(settings(**AUTO))
    first, second = same_target()
    world.open(first)
    world.open(second)
    world.push(later(second, status=IncidentStatus.RESOLVED))
    world.steps()
    assert world.results(second) == ["not_executed"]
    assert len(world.fleet.actions) == 1


def test_a_run_that_waits_for_a_target_survives_a_restart(make_world):
    world = make_world(settings(**AUTO))
    first, second = same_target()
    world.open(first)
    world.open(second)
    world.restart()
    world.windows(first, "normal", "normal", "normal")
    world.steps()
    assert [kind for kind, _, _ in world.fleet.actions] == ["scale", "scale"]
