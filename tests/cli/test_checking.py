"""`sentinel check` and `sentinel schema`: what a file will do, and where its mistakes are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.cli.running import ROOT, configuration, parsed, sentinel

EXAMPLE = ROOT / "config" / "sentinel.yaml"


def bad(tmp_path: Path, text: str, env: dict[str, str] | None = None) -> str:
    """What `check` says about a text that is not valid; the exit code must be 2."""
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    result = sentinel("check", file, env=env)
    assert result.exit_code == 2, result.stdout
    assert not result.stdout
    return result.stderr.replace(f"{tmp_path}/", "")


def switched_on(text: str) -> str:
    """The example with every `#setting` switched on; prose has a space after its `#`."""
    lines = [line.replace("#", "", 1) if line.lstrip().startswith("#") else line for line in text.splitlines()]
    kept = [
        new if old.lstrip()[1:2].isalpha() or old.lstrip()[1:3] == "- " else old
        for old, new in zip(text.splitlines(), lines, strict=True)
    ]
    return "\n".join(kept)


def test_a_valid_file_is_shown_as_what_it_will_do(tmp_path: Path) -> None:
    file = configuration(
        tmp_path,
        detection={"rules": {"queue": {"match": {"names": ["queue_*"]}, "kind": "saturation", "for": "3 of 5"}}},
        remediation={"policy": {"mode": "auto", "allow": [{"actions": ["restart"], "name": "search-*"}]}},
    )
    result = sentinel("check", file)
    assert result.exit_code == 0
    for fact in (
        "valid",
        "queue_*",
        "3 of 5 windows of zscore or iqr",
        "auto",
        "restart on fleet */search-*",
        "dry_run",
    ):
        assert fact in result.stdout
    assert "bad-deploy" in result.stdout, "the shipped runbooks, when none are named"


def test_json_is_the_whole_configuration_with_its_defaults(tmp_path: Path) -> None:
    values = parsed(sentinel("check", configuration(tmp_path, kafka={"topic_prefix": "p."}), "--json"))
    assert values["kafka"] == {
        "bootstrap": "127.0.0.1:9092", "topic_prefix": "p.", "telemetry_partitions": 4, "replication_factor": 1,
        "options": {},
    }  # fmt: skip
    assert values["detection"]["rules"]["traffic"]["for"] == "3 of 5"
    assert values["remediation"]["policy"]["allow"] == []


@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["table", "json"])
def test_no_password_is_shown(tmp_path: Path, flags: list[str]) -> None:
    file = configuration(
        tmp_path,
        kafka={"options": {"sasl.password": "hush-kafka"}},
        stores={
            "history": "clickhouse://u:hush-history@h:8123/d",
            "database": "postgresql://u:hush@sql@h/d",
            "memory": "http://u:hush-memory@h:6333",
        },
    )
    result = sentinel("check", file, *flags)
    assert result.exit_code == 0
    assert "hush" not in result.output
    assert "clickhouse://u:***@h:8123/d" in result.stdout


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_key(tmp_path: Path) -> None:
    said = bad(tmp_path, "kafka:\n  bootstrap: localhost:9092\n  telemetry_partition: 8\n")
    assert said.strip() == (
        "mine.yaml:3: unknown key 'kafka.telemetry_partition'; did you mean 'telemetry_partitions'?"
    )


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    said = bad(tmp_path, "kafak: {}\napi:\n  port: 99999\nremediation:\n  policy:\n    mode: yolo\n")
    assert sorted(line.split(" ")[0] for line in said.strip().splitlines()) == [
        "mine.yaml:1:", "mine.yaml:3:", "mine.yaml:6:",
    ]  # fmt: skip
    assert "did you mean 'kafka'" in said
    assert "99999" in said
    assert "'observe', 'suggest', 'approve' or 'auto'" in said


def test_bad_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    assert bad(tmp_path, "kafka:\n  bootstrap: [a\n").startswith("mine.yaml:3: not valid YAML")


def test_an_unset_variable_is_an_error_that_names_it(tmp_path: Path) -> None:
    text = "stores:\n  database: postgresql://s:${SQL_PASSWORD}@h/d\n"
    assert "mine.yaml:2: the environment variable SQL_PASSWORD is not set" in bad(tmp_path, text)
    file = tmp_path / "mine.yaml"
    assert sentinel("check", file, env={"SQL_PASSWORD": "x"}).exit_code == 0


def test_a_rule_that_names_no_detector_is_refused(tmp_path: Path) -> None:
    said = bad(tmp_path, "detection:\n  rules:\n    mine: {detectors: [zscor]}\n")
    assert "no detector 'zscor'; there are fused, half_space_trees, iqr, seasonal, zscore" in said


def test_runbooks_are_checked_too(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    text = "remediation:\n  runbooks: books\n"
    assert "no runbook" in bad(tmp_path, text)
    (tmp_path / "books" / "one.yaml").write_text("name: one\ntitel: Wrong\n")
    assert "one.yaml:2: unknown key 'titel'; did you mean 'title'?" in bad(tmp_path, text)


def test_a_catalogue_that_calls_nobody_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / "services.yaml").write_text("services:\n  web: {calls: [cart]}\n")
    said = bad(tmp_path, "catalogue_file: services.yaml\n")
    assert said.startswith("services.yaml:1:")
    assert "'web' calls 'cart'" in said


@pytest.mark.parametrize("command", [["incidents", "list"], ["approvals", "list"], ["audit", "verify"], ["worker"]])
def test_every_command_refuses_a_bad_configuration_with_2(tmp_path: Path, command: list[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("kafak: {}\n")
    by_option = sentinel("--config", file, *command)
    by_environment = sentinel(*command, env={"SENTINEL_CONFIG": str(file)})
    for result in (by_option, by_environment):
        assert result.exit_code == 2
        assert "mine.yaml:1: unknown key 'kafak'" in result.stderr


def test_a_configuration_that_is_not_there_is_refused_with_2(tmp_path: Path) -> None:
    result = sentinel("--config", tmp_path / "none.yaml", "incidents", "list")
    assert result.exit_code == 2
    assert "none.yaml: cannot be read" in result.stderr


def test_the_example_passes_as_it_is_and_acts_on_nothing() -> None:
    values = parsed(sentinel("check", EXAMPLE, "--json"))
    assert values["remediation"]["policy"]["mode"] == "suggest"
    assert values["remediation"]["policy"]["allow"] == []
    assert values["remediation"]["executor"]["kind"] == "dry_run"
    assert values["services"]["services"]
    assert EXAMPLE.read_text().startswith("# yaml-language-server: $schema=sentinel.schema.json\n")


def test_the_example_passes_with_everything_switched_on(tmp_path: Path) -> None:
    text = switched_on(EXAMPLE.read_text())
    assert "\n  history: clickhouse://" in text
    assert "\n    #" not in text.replace("\n    # ", "")
    file = tmp_path / "sentinel.yaml"
    file.write_text(text.replace("catalogue.yaml", str(ROOT / "config" / "catalogue.yaml")))
    without = sentinel("check", file)
    assert without.exit_code == 2
    assert "KAFKA_PASSWORD is not set" in without.stderr
    names = ("KAFKA_PASSWORD", "CLICKHOUSE_PASSWORD", "POSTGRES_PASSWORD")
    env = {name: f"hush-{name}" for name in names}
    env["ON_CALL_KEY_SHA256"] = hashlib.sha256(b"key").hexdigest()
    result = sentinel("check", file, env=env)
    assert result.exit_code == 0, result.stderr
    assert "queue_*" in result.stdout
    assert "1 keys" in result.stdout
    assert "hush" not in result.stdout
