"""A process that starts with another configuration says so in the audit, with what is different and without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.cli.configured import tell_configuration
from sentinel.cli.settings import load_settings
from tests.cli.running import configuration, stores_of


@pytest.fixture
def start(tmp_path: Path):
    """Start a process with these sections; returns what its audit says then."""

    def started(process="worker", **sections):
        config = configuration(tmp_path, **sections)
        with stores_of(config) as stores:
            told = tell_configuration(load_settings(config), stores, process, 100.0)
            return told, list(stores.audit.records())

    return started


def test_the_first_start_and_every_change_are_recorded(start):
    told, records = start()
    assert (told, [(r.actor, r.action, r.reason) for r in records]) == (
        True, [("process:worker", "configuration.changed", "first start")],
    )  # fmt: skip
    assert start()[0] is False
    told, records = start(api={"port": 9999})
    assert (told, records[-1].details["before"], records[-1].details["after"]) == (
        True, {"/settings/api/port": 8080}, {"/settings/api/port": 9999},
    )  # fmt: skip
    assert [r.action for r in records] == ["configuration.changed"] * 2
    assert start(api={"port": 9999})[0] is False


def test_each_process_has_its_own(start):
    start("worker")
    told, records = start("api")
    assert told
    assert [record.target for record in records] == ["configuration/worker", "configuration/api"]


def test_a_change_of_policy_is_a_record_of_its_own(start):
    start()
    _, records = start(remediation={"policy": {"mode": "approve"}})
    assert [record.action for record in records[1:]] == ["policy.changed", "configuration.changed"]
    changed = records[1].details
    assert changed["before"]["version"] != changed["after"]["version"]
    assert records[2].details["after"]["/settings/remediation/policy/mode"] == "approve"


def test_a_change_of_a_runbook_is_seen(start, tmp_path):
    book = tmp_path / "books" / "restart.yaml"
    book.parent.mkdir()
    text = (Path(__file__).parents[2] / "config" / "runbooks" / "bad-deploy.yaml").read_text()
    book.write_text(text)
    start(remediation={"runbooks": str(book.parent)})
    book.write_text(text.replace("priority:", "priority: 1 #"))
    _, records = start(remediation={"runbooks": str(book.parent)})
    assert list(records[-1].details["after"]) == ["/runbooks/bad-deploy"]


def test_no_secret_gets_into_the_audit(start):
    start()
    secret = {"kind": "webhook", "url": "https://ann:hunter2@x.example/h", "secret": "hunter3"}
    _, records = start(
        audit={"key": "env:K", "anchors": [secret]},
        stores={"database": "sqlite:///sentinel.db"},
        kafka={"options": {"sasl.password": "hunter4"}},
    )
    said = str(records)
    assert "/settings/audit/anchors/0/secret" in said
    assert "hunter" not in said
