"""A crash before and after every side effect of a run, enumerated: the action runs once, and no decision is lost.

Side effects are the commits to SQL, the writes of checkpoints and the calls to the executor. Each place is a point;
for every point there is one whole run that dies there, is started again from database and checkpoints, and must end
as if nothing had happened.
"""

import shutil
import sqlite3

import msgspec
import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from sentinel.stores.sql.database import Database
from tests.remediation.world import World, bad_deploy, connection_leak, settings

AUTO = settings(mode="auto", automatic=[{"action": "restart"}, {"action": "scale"}])


class Crash(BaseException):
    """The process is gone: nothing may catch this."""


class Fuse:
    """Counts points and goes off at one of them; from then on the process is dead and nothing has any effect."""

    def __init__(self, at):
        self.at, self.seen, self.dead = at, 0, False

    def point(self):
        self.seen += 1
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


class BrittleExecutor:
    """Dies right before or right after it acted."""

    backend = "fleet"

    def __init__(self, inner):
        self.inner, self.fuse = inner, Fuse(0)

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def apply(self, *args):
        self.fuse.point()
        applied = self.inner.apply(*args)
        self.fuse.point()
        return applied


def brittle_saver(fuse):
    class BrittleSaver(SqliteSaver):
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

    return BrittleSaver


class Stage:
    """One run that dies at point `at` (0: never), in whatever step it is reached, and is started again."""

    def __init__(self, folder, template, at, config=None):
        folder.mkdir()
        shutil.copy(template, folder / "sentinel.db")
        self.fuse = Fuse(at)
        self.database = BrittleDatabase(f"sqlite:///{folder}/sentinel.db")
        self.connection = sqlite3.connect(folder / "checkpoints.db", check_same_thread=False)
        saver = brittle_saver(self.fuse)
        self.world = World(self.database, lambda: saver(self.connection), config, executor=BrittleExecutor)
        self.database.fuse = self.world.executor.fuse = self.fuse

    def survive(self, deed):
        """Do it; when the process dies meanwhile, start again and do it once more."""
        try:
            deed()
            self.world.steps()
        except Crash:
            assert self.fuse.dead
        # The graph writes in threads of its own: a crash there need not reach this one.
        if self.fuse.dead:
            self.fuse.dead = False
            self.world.restart()
            self.world.clock.at += 1
            deed()
            self.world.steps()

    def close(self):
        self.connection.close()
        self.database.close()


def play_approved(stage):
    """A bad deploy, approved by a person, verified."""
    world, one = stage.world, bad_deploy()
    world.push(one)
    world.clock.at += 6
    stage.survive(lambda: world.steps(6))
    # The person is another process: what it writes does not die with the worker.
    stage.database.fuse = Fuse(0)
    assert len(world.pending()) == 1
    world.answer()
    stage.database.fuse = stage.fuse
    stage.survive(lambda: world.steps(6))
    assert world.fleet.actions == [("rollback", "checkout", {})]
    stage.survive(lambda: world.windows(one, "normal", "normal", "normal"))
    stage.survive(lambda: world.steps(4))
    assert world.fleet.actions == [("rollback", "checkout", {})]
    assert world.results(one) == ["verified"]
    _story_is_whole(world, one)


def play_undone(stage):
    """A fix without effect, undone, then one that works; all automatic."""
    world, one = stage.world, connection_leak()
    world.push(one)
    world.clock.at += 6
    stage.survive(lambda: world.steps(6))
    assert world.fleet.actions == [("scale", "cart", {"replicas": 5})]
    stage.survive(lambda: world.windows(one, *["abnormal"] * 10))
    stage.survive(lambda: world.steps(4))
    undone = [("scale", "cart", {"replicas": 5}), ("scale", "cart", {"replicas": 3}), ("restart", "cart", {})]
    assert world.fleet.actions == undone
    world.clock.at += 4_000
    stage.survive(lambda: world.steps(4))
    assert world.fleet.actions == undone
    assert world.results(one)[0] == "no_effect"
    _story_is_whole(world, one)


def _story_is_whole(world, one):
    """Every step is told once, in timeline and audit; every outcome is published; nothing hangs."""
    kinds = world.kinds(one)
    deeds = [entry for entry in world.stores.ledger.find(run_id="") if not entry.undo_of]
    assert kinds.count("executing") == kinds.count("executed") == len(deeds)
    assert kinds.count("recorded") == len(world.results(one))
    assert world.stores.audit.verify().ok
    told = [record.action for record in world.stores.audit.records()]
    assert [action for action in told if not action.startswith("breaker.")] == kinds
    assert not world.stores.runs.unfinished()
    published = {msgspec.json.decode(v)["outcome_id"] for topic, _, v in world.sink.messages if topic == "outcomes"}
    assert {outcome.outcome_id for outcome in world.stores.outcomes.find()} == published


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("play", "config"), [(play_approved, None), (play_undone, AUTO)])
def test_a_crash_at_any_point_neither_repeats_nor_loses(tmp_path, template, play, config):
    calm = Stage(tmp_path / "0", template, 0, config)
    play(calm)
    points = calm.fuse.seen
    calm.close()
    assert points > 40
    for at in range(1, points + 1):
        stage = Stage(tmp_path / str(at), template, at, config)
        try:
            play(stage)
        except AssertionError as error:
            raise AssertionError(f"after a crash at point {at} of {points}") from error
        finally:
            stage.close()
