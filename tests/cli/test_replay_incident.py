"""`sentinel replay-incident`: an incident that a worker has looked after, run again from its record."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from operators.incident_groups import IncidentGroups
from operators.suspects import rank
from sentinel.cli.settings import load_settings
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.migrate import migrate
from tests.cli.running import configuration, parsed, sentinel
from tests.remediation.world import CATALOGUE, World, alert, deploy, firing, incident

POLICY = {"mode": "approve", "allow": [{"actions": ["restart", "rollback", "scale"], "name": "*"}]}
SECTIONS = {
    "services": CATALOGUE.model_dump(mode="json"),
    "remediation": {"policy": POLICY, "worker": {"settle": 5}},
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A state in which one incident was fixed with an approval."""
    config = configuration(tmp_path, **SECTIONS)
    chosen = load_settings(config)
    database = Database(f"sqlite:///{chosen.state}/sentinel.db")
    migrate(database)
    saver = sqlite3.connect(tmp_path / "checkpoints.db", check_same_thread=False)
    world = World(database, lambda: SqliteSaver(saver), chosen.remediation)
    # Two that began in the same window; the one that came first has the later name.
    one, other = alert(), alert("checkout", "an_error_ratio")
    groups = IncidentGroups(chosen.incidents.grouping, CATALOGUE)
    groups.feed(firing(one))
    group = groups.feed(firing(other))[-1].group
    suspects = rank(group.alerts, CATALOGUE, (deploy(),), chosen.incidents.suspects)
    known = {"id": group.id, "fingerprint": group.fingerprint, "suspects": suspects}
    here = incident(*group.alerts, changes=(deploy(),), config_hash=chosen.incidents.hash, **known)
    world.push(firing(one), firing(other))
    world.open(here)
    world.answer()
    world.steps()
    world.windows(here, "normal", "normal", "normal")
    assert world.results(here) == ["verified"]
    saver.close()
    database.close()
    return config


def incident_id(config: Path) -> str:
    return str(parsed(sentinel("-c", config, "incidents", "list", "--json"))[0]["id"])


def edit(config: Path, *statements: str) -> None:
    database = sqlite3.connect(load_settings(config).state / "sentinel.db")
    for statement in statements:
        assert database.execute(statement).rowcount
    database.commit()
    database.close()


def test_the_same_inputs_give_the_same_decision_hash(config: Path) -> None:
    result = sentinel("-c", config, "replay-incident", incident_id(config))
    assert result.exit_code == 0, result.stdout
    assert "5 of 5 steps the same" in result.stdout
    assert "the same as recorded" in result.stdout
    told = parsed(sentinel("-c", config, "replay-incident", incident_id(config), "--json"))
    assert told["grouping"] == {"alerts": 2, "difference": ""}
    assert told["runs"][0]["recorded_hash"] == told["runs"][0]["replayed_hash"]


def test_todays_policy_is_tried_and_the_first_difference_named(config: Path, tmp_path: Path) -> None:
    remediation = {"policy": {**POLICY, "allow": [{"actions": ["restart"], "name": "*"}]}, "worker": {"settle": 5}}
    configuration(tmp_path, **{**SECTIONS, "remediation": remediation})
    assert sentinel("-c", config, "replay-incident", incident_id(config)).exit_code == 0
    result = sentinel("-c", config, "replay-incident", incident_id(config), "--current")
    assert result.exit_code == 1
    assert "step 3 (policy, attempt 1)" in result.stdout


def test_other_grouping_settings_are_named(config: Path, tmp_path: Path) -> None:
    configuration(tmp_path, **SECTIONS, incidents={"grouping": {"linger_seconds": 7}})
    result = sentinel("-c", config, "replay-incident", incident_id(config))
    assert result.exit_code == 1
    assert "First difference: grouping: it was grouped under the settings" in result.stdout


def test_an_alert_that_is_gone_is_named(config: Path) -> None:
    edit(config, "delete from alert_messages")
    result = sentinel("-c", config, "replay-incident", incident_id(config))
    assert "its alert messages are not in the database" in result.stdout
    assert result.exit_code == 1


def test_a_suspect_that_was_changed_is_named(config: Path) -> None:
    edit(config, """update incidents set document = replace(document, '"score":', '"score":1')""")
    result = sentinel("-c", config, "replay-incident", incident_id(config))
    assert "the suspects were" in result.stdout
    assert result.exit_code == 1


def test_a_record_that_was_changed_is_named(config: Path) -> None:
    edit(config, """update contents set document = replace(document, '"answer":"ask"', '"answer":"allow"')""")
    result = sentinel("-c", config, "replay-incident", incident_id(config), "--json")
    assert result.exit_code == 1
    difference = parsed(result)["runs"][0]["difference"]
    assert difference["number"] in (3, 4)
    assert "changed after it was recorded" in difference["reason"]


def test_an_unknown_incident_is_said_to_be_unknown(config: Path) -> None:
    result = sentinel("-c", config, "replay-incident", "inc-9")
    assert (result.exit_code, "'inc-9'" in result.stderr) == (1, True)
