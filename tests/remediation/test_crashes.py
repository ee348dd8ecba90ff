"""A crash at every place where something leaves the process, enumerated: the action runs once, and no decision is lost.

For each place there is one whole story in which a worker dies there and another one takes over: after the lease, from
database and checkpoints alone; or it was there all the time (`duo`). `make test-crash` dies at every place; by default
at every third of the approved story (40 on each database, other ones for `duo`), and at fewer of the longer one.
"""

import os
import shutil
from contextlib import ExitStack

import pytest

from remediation.checkpoints import open_checkpointer
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from tests.remediation import crashing
from tests.remediation.crashing import BrittleDatabase, Crash, Fuse, brittle_executor, brittle_saver
from tests.remediation.world import World

LEASE = 15.0
ALL = os.environ.get("SENTINEL_CRASHES") == "all"


class Stage:
    """One story in which the worker dies at place `at` (0: never). `duo`: the other worker was there all the time."""

    def __init__(self, url, story, at, duo):
        self.story, self.fuse, self.duo = story, Fuse(at), duo
        self.stack = ExitStack()
        self.database = BrittleDatabase(url)
        self.stack.callback(self.database.close)
        saver = self.stack.enter_context(open_checkpointer(self.database))
        self.world = World(self.database, lambda: saver, story.config, owner="first")
        self.other = World(self.database, lambda: saver, story.config, owner="second", ticks=self.world.clock)
        self.other.log, self.other.executor, self.other.sink = self.world.log, self.world.executor, self.world.sink
        self.other.clock = self.world.clock
        self.brittle = brittle_saver(saver, self.fuse)
        self.world.executor = brittle_executor(self.world.executor, self.fuse)
        self.world.notices = crashing.Brittle(self.world.notices, self.fuse, {"notify"})
        self.world.sink = crashing.Brittle(self.world.sink, self.fuse, {"publish", "flush"})
        self.database.fuse = self.fuse
        self.survive(self.world.restart)
        if duo:
            self.aside(self.other.restart)

    def play(self):
        for act in self.story.acts:
            self.world.push(*act.messages)
            self.world.clock.at += act.seconds
            if act.answers:
                assert len(self.world.pending()) == 1
                self.aside(self.world.answer)
            self.work()
        self.work()
        self.fuse.off = True
        crashing.story_is_whole(self.story, self.world.stores, self.world.fleet, self.other.sink.messages)

    def work(self):
        """Both work; when the first is dead the second goes on alone, for as long as a lease lasts."""
        for _ in range(6):
            self.survive(lambda: self.world.steps(1))
            if self.duo and not self.fuse.dead:
                self.aside(lambda: self.other.steps(1))
        if self.fuse.dead:
            if not self.duo:
                self.aside(self.other.restart)
                self.duo = True
            for _ in range(12):
                self.world.clock.at += LEASE / 8
                self.aside(lambda: self.other.steps(2))

    def survive(self, deed):
        """What the first worker does, until it dies; the graph writes in threads of its own, so look at the fuse."""
        if self.fuse.dead:
            return
        try:
            deed()
        except Crash:
            assert self.fuse.dead

    def aside(self, deed):
        """What another process does does not die with the worker."""
        self.fuse.off = True
        dead, self.fuse.dead = self.fuse.dead, False
        try:
            deed()
        finally:
            self.fuse.off, self.fuse.dead = False, dead


def die_everywhere(make_url, story, *, every, duo):
    """One story for each place, or for each `every`-th."""
    calm = Stage(make_url(), story(), 0, duo)
    with calm.stack:
        calm.play()
    places = calm.fuse.seen
    for at in range(1 + duo, places + 1, 1 if ALL else every):
        stage = Stage(make_url(), story(), at, duo)
        with stage.stack:
            try:
                stage.play()
            except AssertionError as error:
                raise AssertionError(f"after a crash at place {at} of {places}") from error
            assert stage.fuse.dead or at > places - 10
    return places


@pytest.mark.slow
@pytest.mark.timeout(3600 if ALL else 600)
@pytest.mark.parametrize("duo", [False, True])
@pytest.mark.parametrize(("story", "every"), [(crashing.approved, 3), (crashing.undone, 15)])
def test_on_sqlite(tmp_path, template, story, every, duo):
    numbers = iter(range(100_000))

    def make_url():
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        shutil.copy(template, folder / "sentinel.db")
        return f"sqlite:///{folder}/sentinel.db"

    assert die_everywhere(make_url, story, every=every, duo=duo) > 80


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(7200 if ALL else 600)
@pytest.mark.parametrize("duo", [False, True])
@pytest.mark.parametrize(("story", "every"), [(crashing.approved, 3), (crashing.undone, 30)])
def test_on_postgresql(postgres_server, story, every, duo):
    template = postgres_server.create_database()
    database = Database(template)
    migrate(database)
    with open_checkpointer(database):
        pass
    database.close()
    made: list[str] = []

    def make_url():
        while made:
            postgres_server.drop_database(made.pop())
        made.append(postgres_server.create_database(template))
        return made[-1]

    assert die_everywhere(make_url, story, every=every, duo=duo) > 80
