"""Whatever happens in whatever order: nothing outside the allow-list, without a valid decision, twice, or while stopped."""

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from langgraph.checkpoint.sqlite import SqliteSaver

from sentinel.approvals import Choice, Role
from sentinel.errors import RefusedError
from sentinel.incidents import IncidentStatus, Suspect
from sentinel.runs import LedgerStatus
from sentinel.safety import GLOBAL, BreakerState
from sentinel.stores.sql.approvals import Answer
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.edits import Wish
from tests.remediation import world as small

ALLOWED = {"scale": ["cart", "checkout"], "rollback": ["checkout"]}
POLICY = {
    "mode": "auto",
    "allow": [{"actions": [kind], "name": name} for kind, names in ALLOWED.items() for name in names],
    "automatic": [{"action": "scale"}],
}


class Sequences(RuleBasedStateMachine):
    """Two incidents, one that policy lets run by itself at first, one that asks; and everything that can come between."""

    template: Path

    @initialize(automatic=st.booleans(), trusted=st.booleans(), approvers=st.integers(1, 2))
    def begin(self, automatic, trusted, approvers):
        self.folder = tempfile.TemporaryDirectory()
        shutil.copy(self.template, f"{self.folder.name}/sentinel.db")
        self.database = Database(f"sqlite:///{self.folder.name}/sentinel.db")
        self.connection = sqlite3.connect(f"{self.folder.name}/checkpoints.db", check_same_thread=False)
        mode = {"mode": "auto" if automatic else "approve", "approvers": [{"approvers": approvers}]}
        config = small.settings(**POLICY | mode, people={"ann": ["slack:U0ANN"]})
        self.approvers = approvers
        self.automatic = automatic and trusted
        self.world = small.World(self.database, lambda: SqliteSaver(self.connection), config, trusted=trusted)
        self.deeds_when_stopped = self.first_deeds_when_tripped = None
        self.incidents = [small.bad_deploy(id="inc-a"), small.connection_leak(id="inc-b")]
        for one in self.incidents:
            self.world.push(one)
        self.world.clock.at += 6
        self.windows_at = small.EFFECTIVE + 60

    def teardown(self):
        if hasattr(self, "database"):
            self.connection.close()
            self.database.close()
            self.folder.cleanup()

    @rule(count=st.integers(1, 3))
    def steps(self, count):
        self.world.steps(count)

    @rule(seconds=st.sampled_from([1, 60, 450, 901]))
    def time_passes(self, seconds):
        self.world.clock.at += seconds

    @rule(
        choice=st.sampled_from([*Choice, Choice.APPROVE]),
        actor=st.sampled_from(["ann", "slack:U0ANN", "bob"]),
        role=st.sampled_from(Role),
        digest=st.sampled_from(["", "0" * 64]),
        reason=st.sampled_from(["", "restart web instead", "no scale, please"]),
    )
    def somebody_answers(self, choice, actor, role, digest, reason):
        for request in self.world.pending():
            answer = Answer(
                request_id=request.id,
                digest=digest or request.digest,
                choice=choice,
                actor=actor,
                role=role,
                reason=reason,
            )
            try:
                self.world.stores.approvals.decide(answer, now=self.world.clock.at)
            except RefusedError as error:
                personal = error.rule in ("requester", "already_voted")
                assert personal or role is Role.VIEWER or digest or self.world.clock.at >= request.expires_at

    @rule(actor=st.sampled_from(["ann", "bob"]), value=st.sampled_from([0, 4, 6, 25]))
    def somebody_edits(self, actor, value):
        for request in self.world.pending():
            wish = Wish(
                request_id=request.id, digest=request.digest, step=1, parameter="replicas", value=value, actor=actor,
                role=Role.APPROVER,
            )  # fmt: skip
            with contextlib.suppress(RefusedError):
                self.world.stores.edits.ask(wish, now=self.world.clock.at)

    @rule(name=st.sampled_from(["cart", "checkout"]))
    def somebody_changes_the_target(self, name):
        self.world.fleet.touch(name)

    @rule()
    def the_fleet_goes_or_comes(self):
        self.world.fleet.down = not self.world.fleet.down

    @rule()
    def the_worker_starts_again(self):
        self.world.fleet.down = False
        self.world.restart()

    @rule(on=st.booleans())
    def somebody_turns_the_kill_switch(self, on):
        self.world.stores.kill_switch.turn(on=on, actor="ann", reason="r", now=self.world.clock())
        self.deeds_when_stopped = len(self.world.fleet.actions) if on else None

    @rule()
    def a_breaker_trips(self):
        now = self.world.clock()
        self.world.stores.breakers.trip(GLOBAL, until=now + 900, reason="failures", now=now)
        self.first_deeds_when_tripped = len(self._first_deeds())

    @rule()
    @precondition(lambda self: self.first_deeds_when_tripped is not None)
    def somebody_closes_it(self):
        self.world.stores.breakers.close(GLOBAL, actor="ann", reason="r", now=self.world.clock())
        self.first_deeds_when_tripped = None

    @rule(which=st.integers(0, 1), verdict=st.sampled_from(["normal", "abnormal", "no_data"]))
    def windows_come(self, which, verdict):
        self.world.windows(self.incidents[which], *[verdict] * 4, first=self.windows_at)
        self.windows_at += 240

    @rule(which=st.integers(0, 1), suspect=st.sampled_from(["cart", "checkout", "web"]))
    def another_is_suspected(self, which, suspect):
        suspects = (Suspect(service=suspect, score=1.0, reasons=()),)
        self._revise(which, suspects=suspects)

    @rule(which=st.integers(0, 1))
    @precondition(lambda self: self.world.stores.runs.find())
    def it_recovers(self, which):
        self._revise(which, status=IncidentStatus.RESOLVED)

    def _revise(self, which, **changes):
        self.incidents[which] = small.later(self.incidents[which], **changes)
        self.world.push(self.incidents[which])

    @invariant()
    def every_deed_is_in_the_ledger_once_and_was_allowed(self):
        if not hasattr(self, "world"):
            return
        ledger = self.world.stores.ledger.find(run_id="")
        applied = [entry for entry in ledger if entry.status is LedgerStatus.APPLIED]
        done = [(entry.action.type, entry.action.target.name, entry.action.params) for entry in applied]
        assert sorted(map(str, done)) == sorted(map(str, self.world.fleet.actions))
        for entry in applied:
            if not entry.undo_of:
                assert entry.action.target.name in ALLOWED[entry.action.type]
                self._was_permitted(entry)
        first = [(entry.run_id, entry.action.type, entry.action.target.name) for entry in self._first_deeds()]
        assert len(first) == len(set(first))

    @invariant()
    def nothing_happens_while_it_is_stopped(self):
        if not hasattr(self, "world"):
            return
        if self.deeds_when_stopped is not None:
            assert len(self.world.fleet.actions) == self.deeds_when_stopped
        breaker = self.world.stores.breakers.of([GLOBAL])[GLOBAL]
        if breaker.state(self.world.clock.at) is not BreakerState.TRIPPED:
            self.first_deeds_when_tripped = None
        if self.first_deeds_when_tripped is not None:
            assert len(self._first_deeds()) == self.first_deeds_when_tripped

    def _first_deeds(self):
        ledger = self.world.stores.ledger.find(status=LedgerStatus.APPLIED)
        return [entry for entry in ledger if not entry.undo_of]

    def _was_permitted(self, entry):
        if self.automatic and entry.action.type == "scale":
            return
        requests = [
            request
            for request in self.world.stores.approvals.find(incident_id=entry.incident_id).items
            if request.run_id == entry.run_id and entry.action in request.plan.actions
        ]
        assert any(self._approved(request, entry.started_at) for request in requests)

    def _approved(self, request, at):
        """Counted with nothing of the product's own counting: people, not actors, and none who edited the plan."""
        votes = self.world.stores.approvals.votes(request.id)
        valid = [
            vote
            for vote in votes
            if vote.role is not Role.VIEWER and vote.digest == request.digest and vote.decided_at < request.expires_at
        ]
        people = {vote.actor.replace("slack:U0ANN", "ann") for vote in valid} - set(request.quorum.requesters)
        rejected = any(vote.choice is Choice.REJECT for vote in votes)
        return len(people) >= self.approvers and not rejected and at < request.expires_at


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_sequence_of_events_lets_an_action_slip_through(template):
    Sequences.template = template
    run_state_machine_as_test(
        Sequences,
        settings=settings(
            max_examples=60, stateful_step_count=25, suppress_health_check=list(HealthCheck), print_blob=True
        ),
    )
