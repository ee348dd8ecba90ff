"""`sentinel incidents`, `approvals` and `audit`: what is in the database, as a table and as JSON."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sentinel.approvals import ApprovalStatus
from sentinel.cli.settings import load_settings
from sentinel.incidents import IncidentStatus
from tests.cli.running import configuration, parsed, sentinel, stores_of
from tests.contracts.sql import samples


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A database with two incidents, two approval requests and five audit records."""
    config = configuration(tmp_path)
    with stores_of(config) as stores:
        stores.incidents.upsert(samples.incident())
        quiet = {"title": "cart: latency", "services": ("cart",), "opened_at": 2000.0}
        stores.incidents.upsert(samples.incident("inc-2", status=IncidentStatus.RESOLVED, resolved_at=2600.0, **quiet))
        stores.runs.start(samples.run())
        stores.runs.tell(samples.timeline_row())
        stores.outcomes.record(samples.outcome())
        stores.approvals.create(samples.request())
        stores.approvals.create(samples.request("apr-2", run_id="run-2"))
        stores.approvals.supersede("apr-2", now=150.0)
        for number in range(1, 6):
            actor = "ann" if number == 3 else "worker"
            stores.audit.append(actor=actor, action="executed", target=f"fleet/svc-{number}", at=100.0 + number)
    return config


def test_incidents_are_listed_newest_first(config: Path) -> None:
    shown = sentinel("-c", config, "incidents", "list").stdout
    assert shown.index("cart: latency") < shown.index("checkout: errors")
    assert "1970-01-01 00:16:40" in shown
    assert "verified" in shown
    found = parsed(sentinel("-c", config, "incidents", "list", "--json"))
    assert [one["id"] for one in found] == ["inc-2", "inc-1"]


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--status", "open"], ["inc-1"]),
        (["--service", "cart"], ["inc-2"]),
        (["--kind", "errors"], ["inc-2", "inc-1"]),
        (["--kind", "traffic"], []),
        (["--limit", "1"], ["inc-2"]),
    ],
    ids=str,
)
def test_incidents_are_filtered(config: Path, options: list[str], ids: list[str]) -> None:
    found = parsed(sentinel("-c", config, "incidents", "list", "--json", *options))
    assert [one["id"] for one in found] == ids


def test_one_incident_is_shown_with_what_was_done(config: Path) -> None:
    shown = sentinel("-c", config, "incidents", "show", "inc-1").stdout
    for part in ("checkout: errors", "deployed at 890", "asked for approval", "rollback checkout", "verified"):
        assert part in shown
    found = parsed(sentinel("-c", config, "incidents", "show", "inc-1", "--json"))
    assert found["incident"]["id"] == "inc-1"
    assert [row["kind"] for row in found["timeline"]] == ["asked"]
    assert [outcome["result"] for outcome in found["outcomes"]] == ["verified"]


def test_approval_requests_are_listed_and_shown_with_their_live_diff(config: Path) -> None:
    found = parsed(sentinel("-c", config, "approvals", "list", "--json", "--status", "pending"))
    assert [one["id"] for one in found] == ["apr-1"]
    assert len(parsed(sentinel("-c", config, "approvals", "list", "--json"))) == 2
    assert "roll back checkout" in sentinel("-c", config, "approvals", "list").stdout
    shown = sentinel("-c", config, "approvals", "show", "apr-1").stdout
    for part in ("v2 -> v1", "can be undone", "risk: medium asks", samples.DIGEST, "the deploy came just before"):
        assert part in shown
    request = parsed(sentinel("-c", config, "approvals", "show", "apr-1", "--json"))
    assert request["digest"] == samples.DIGEST
    assert request["status"] == ApprovalStatus.PENDING


@pytest.mark.parametrize("command", [["incidents", "show"], ["approvals", "show"]], ids=" ".join)
def test_an_unknown_id_exits_with_1_and_says_where_ids_are(config: Path, command: list[str]) -> None:
    result = sentinel("-c", config, *command, "nope-1")
    assert result.exit_code == 1
    assert not result.stdout
    assert "'nope-1'" in result.stderr
    assert f"sentinel {command[0]} list" in result.stderr


def test_audit_records_are_listed_newest_first_and_filtered(config: Path) -> None:
    everything = parsed(sentinel("-c", config, "audit", "list", "--json"))
    assert [record["seq"] for record in everything] == [5, 4, 3, 2, 1]
    by_ann = parsed(sentinel("-c", config, "audit", "list", "--json", "--actor", "ann"))
    assert [record["seq"] for record in by_ann] == [3]
    assert "fleet/svc-4" in sentinel("-c", config, "audit", "list").stdout


def test_a_chain_that_holds_is_verified_with_0(config: Path) -> None:
    result = sentinel("-c", config, "audit", "verify")
    assert result.exit_code == 0
    assert "The audit chain holds: 5 records" in result.stdout
    verdict = parsed(sentinel("-c", config, "audit", "verify", "--json"))
    assert (verdict["ok"], verdict["records"], verdict["unanchored"]) == (True, 5, 0)


TAMPERING = {
    "edited": ("update audit set reason = 'nothing to see' where seq = 3", 3),
    "edited who": ("update audit set actor = 'worker' where seq = 3", 3),
    "missing": ("delete from audit where seq = 2", 2),
    "cut": ("delete from audit where seq > 3", 4),
    "another hash": ("update audit set hash = replace(hash, 'a', 'b') where seq = 2", 2),
}


@pytest.mark.parametrize("kind", TAMPERING)
def test_a_database_edited_by_hand_exits_with_1_and_names_the_record(config: Path, kind: str) -> None:
    statement, first_bad = TAMPERING[kind]
    edit_by_hand(config, statement)
    result = sentinel("-c", config, "audit", "verify")
    assert result.exit_code == 1
    assert "does NOT hold" in result.stdout
    assert f"at record {first_bad}:" in result.stdout
    told = sentinel("-c", config, "audit", "verify", "--json")
    assert told.exit_code == 1
    assert parsed(told)["first_bad"] == first_bad


def test_a_chain_that_was_written_anew_is_found_by_the_anchor_alone(config: Path, tmp_path: Path) -> None:
    database = load_settings(config).state / "sentinel.db"
    database.unlink()
    with stores_of(configuration(tmp_path, stores={"audit_anchor": str(tmp_path / "other.jsonl")})) as stores:
        for number in range(1, 6):
            stores.audit.append(actor="worker", action="nothing", target="none", at=100.0 + number)
    result = sentinel("-c", configuration(tmp_path), "audit", "verify")
    assert result.exit_code == 1
    assert "at record 1:" in result.stdout
    other = sentinel("-c", config, "audit", "verify", "--anchor", tmp_path / "other.jsonl")
    assert other.exit_code == 0


def edit_by_hand(config: Path, statement: str) -> None:
    """Change the database as somebody with its file would; triggers that guard it are in their hands too."""
    database = sqlite3.connect(load_settings(config).state / "sentinel.db")
    triggers = database.execute("select name from sqlite_master where type = 'trigger' and tbl_name = 'audit'")
    for (name,) in triggers.fetchall():
        database.execute(f"drop trigger {name}")
    assert database.execute(statement).rowcount
    database.commit()
    database.close()
