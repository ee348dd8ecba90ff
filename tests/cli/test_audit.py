"""`sentinel audit`: keys, signed heads, exports and the offline proof, as an operator uses them."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path

import pytest

from sentinel.audit_heads import day_end
from sentinel.cli import bootstrap
from sentinel.cli.settings import load_settings
from tests.cli.running import configuration, parsed, sentinel, stores_of

BEGIN = day_end("2026-01-09")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Six records on three days that are long over, signed by a new key, with their heads in two files."""
    made = sentinel("audit", "keygen", "--key", tmp_path / "audit.key", "--public", tmp_path / "audit.pub")
    assert made.exit_code == 0
    config = configuration(
        tmp_path,
        audit={
            "key": f"file:{tmp_path}/audit.key",
            "public_keys": str(tmp_path / "audit.pub"),
            "anchors": [{"kind": "file"}, {"kind": "file", "name": "other", "path": str(tmp_path / "other.jsonl")}],
        },
    )
    with stores_of(config) as stores:
        for number in range(6):
            at = BEGIN + 86_400 * (number // 2) + 3600 * number
            stores.audit.append(actor="=ann", action="approved", target=f"apr-{number}", at=at, details={"n": number})
        stop = threading.Event()
        stop.set()
        bootstrap.run_notary(load_settings(config), stores, stop)
    return config


def tamper(config: Path, *statements: str) -> None:
    database = sqlite3.connect(load_settings(config).state / "sentinel.db")
    for (name,) in database.execute("select name from sqlite_master where type = 'trigger'").fetchall():
        database.execute(f"drop trigger {name}")
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


def test_keygen_says_what_goes_into_the_configuration_and_replaces_nothing(tmp_path: Path) -> None:
    place = ("--key", tmp_path / "k", "--public", tmp_path / "p")
    shown = sentinel("audit", "keygen", *place).stdout
    assert f"key: file:{tmp_path}/k" in shown
    again = sentinel("audit", "keygen", *place)
    assert again.exit_code == 2
    assert "never replaced" in again.stderr


def test_the_chain_is_verified_with_its_signed_heads(config: Path) -> None:
    result = sentinel("-c", config, "audit", "verify")
    assert result.exit_code == 0
    assert "3 signed heads are good; 0 records come after the last of them" in result.stdout
    assert parsed(sentinel("-c", config, "audit", "verify", "--json"))["unsigned"] == 0
    assert [head["day"] for head in parsed(sentinel("-c", config, "audit", "heads", "--json"))] == [
        "2026-01-10", "2026-01-11", "2026-01-12",
    ]  # fmt: skip


def test_a_rewritten_database_is_found_by_the_files_outside_with_record_and_day(config: Path) -> None:
    tamper(config, "delete from audit where seq > 3", "delete from audit_heads where number > 1")
    (load_settings(config).state / "audit-anchor.jsonl").unlink()
    result = sentinel("-c", config, "audit", "verify")
    assert result.exit_code == 1
    assert "does NOT hold: cut at record 4: the chain ends at record 3" in result.stdout


def test_an_export_is_verified_without_configuration_and_database(config: Path, tmp_path: Path) -> None:
    export, heads = tmp_path / "audit.jsonl", tmp_path / "heads.jsonl"
    assert sentinel("-c", config, "audit", "export", export).exit_code == 0
    assert sentinel("-c", config, "audit", "heads", heads, "--from", "other").exit_code == 0
    (load_settings(config).state / "sentinel.db").unlink()
    offline = ("audit", "verify", "--file", export, "--heads", heads, "--public-key", tmp_path / "audit.pub")
    good = sentinel("-c", tmp_path / "nowhere.yaml", *offline)
    assert good.exit_code == 0
    assert "6 records" in good.stdout
    lines = export.read_bytes().splitlines(keepends=True)
    export.write_bytes(b"".join([*lines[:4], lines[4].replace(b"apr-4", b"apr-9"), lines[5]]))
    bad = sentinel("-c", tmp_path / "nowhere.yaml", *offline, "--json")
    assert bad.exit_code == 1
    told = parsed(bad)
    assert (told["fault"], told["first_bad"], told["day"]) == ("edited", 5, "2026-01-12")


def test_heads_of_another_key_prove_nothing(config: Path, tmp_path: Path) -> None:
    sentinel("audit", "keygen", "--key", tmp_path / "mallory.key", "--public", tmp_path / "mallory.pub")
    export = tmp_path / "audit.jsonl"
    sentinel("-c", config, "audit", "export", export)
    found = sentinel(
        "audit",
        "verify",
        "--file",
        export,
        "--heads",
        tmp_path / "other.jsonl",
        "--public-key",
        tmp_path / "mallory.pub",
    )
    assert found.exit_code == 1
    assert "rekeyed at record 2: head 1 of 2026-01-10" in found.stdout
    alone = sentinel("audit", "verify", "--file", export, "--heads", tmp_path / "other.jsonl")
    assert alone.exit_code == 2
    assert "--public-key" in alone.stderr


def test_exports_are_filtered_and_csv_is_harmless(config: Path, tmp_path: Path) -> None:
    window = ("--since", "2026-01-11T00:00:00Z", "--until", "2026-01-12")
    out = sentinel("-c", config, "audit", "export", "-", *window, "--actor", "=ann", "--action", "approved")
    assert [json.loads(line)["seq"] for line in out.stdout.splitlines()] == [3, 4]
    assert [r["seq"] for r in parsed(sentinel("-c", config, "audit", "list", "--json", *window))] == [4, 3]
    assert parsed(sentinel("-c", config, "audit", "list", "--json", "--target", "apr-5"))[0]["seq"] == 6
    sheet = sentinel("-c", config, "audit", "export", "-", "--format", "csv").stdout
    assert "'=ann" in sheet
    assert ",=ann" not in sheet
    wrong = sentinel("-c", config, "audit", "list", "--since", "yesterday")
    assert (wrong.exit_code, "'yesterday' is not a time" in wrong.stderr) == (2, True)


def test_old_days_are_dropped_and_the_rest_is_proven(config: Path) -> None:
    refused = sentinel("-c", config, "audit", "prune")
    assert (refused.exit_code, "keep_days is 0" in refused.stderr) == (2, True)
    assert sentinel("-c", config, "audit", "prune", "--before", "2026-01-12").stdout.startswith(
        "Dropped 4 records up to 4"
    )
    assert "nothing" not in sentinel("-c", config, "audit", "prune", "--before", "2026-01-12").stdout
    verdict = parsed(sentinel("-c", config, "audit", "verify", "--json"))
    assert (verdict["ok"], verdict["starts_after"], verdict["records"]) == (True, 4, 3)
    assert sentinel("-c", config, "audit", "prune", "--before", "soon").exit_code == 2


def test_grants_are_printed() -> None:
    shown = sentinel("audit", "grants", "worker_role", "--worker").stdout
    assert 'REVOKE UPDATE, DELETE, TRUNCATE, TRIGGER ON audit FROM "worker_role";' in shown
    assert "CREATE ON SCHEMA" in shown
    assert sentinel("audit", "grants", "a; drop table audit").exit_code == 2
