"""The kill switch in SQL: off at first, turned with a reason, audited."""

import pytest

from sentinel.errors import RefusedError
from sentinel.metrics import render
from sentinel.safety import KillSwitch
from sentinel.stores.sql.stores import SqlStores


def test_it_is_off_at_first_and_stays_as_it_was_turned(stores, database):
    assert stores.kill_switch.read() == KillSwitch(on=False)
    on = stores.kill_switch.turn(on=True, actor="ann", reason="storm", now=10.0)
    assert on == KillSwitch(on=True, actor="ann", reason="storm", changed_at=10.0)
    assert SqlStores.over(database).kill_switch.read() == on
    assert b"sentinel_kill_switch 1.0" in render()[0]
    off = stores.kill_switch.turn(on=False, actor="bob", reason="over", now=20.0)
    assert off == stores.kill_switch.read() == KillSwitch(on=False, actor="bob", reason="over", changed_at=20.0)
    assert b"sentinel_kill_switch 0.0" in render()[0]


def test_every_turn_is_audited(stores):
    stores.kill_switch.turn(on=True, actor="ann", reason="storm", now=10.0, details={"role": "approver"})
    stores.kill_switch.turn(on=False, actor="bob", reason="over", now=20.0)
    told = [(r.actor, r.action, r.reason, r.at) for r in stores.audit.records()]
    assert told == [("ann", "kill_switch.on", "storm", 10.0), ("bob", "kill_switch.off", "over", 20.0)]
    changes = [(r.details["before"], r.details["after"]) for r in stores.audit.records()]
    assert changes == [({"on": False}, {"on": True}), ({"on": True}, {"on": False})]
    assert stores.audit.verify().ok


def test_without_a_reason_it_does_not_turn(stores):
    with pytest.raises(RefusedError):
        stores.kill_switch.turn(on=True, actor="ann", reason=" ", now=10.0)
    assert not stores.kill_switch.read().on
    assert list(stores.audit.records()) == []


def test_the_file_outweighs_the_database(database, tmp_path):
    file = tmp_path / "STOP"
    switch = SqlStores.over(database, kill_switch_file=file).kill_switch
    assert not switch.read().on
    file.touch()
    assert switch.read().on
    assert switch.turn(on=False, actor="ann", reason="over", now=1.0).actor == "file"
    file.unlink()
    assert not switch.read().on


def test_a_file_that_cannot_be_looked_at_counts_as_there(database, tmp_path):
    too_long = tmp_path / ("x" * 300)
    assert SqlStores.over(database, kill_switch_file=too_long).kill_switch.read().on
