"""Help that a stranger understands: every command says what it is for, and what each argument and option means."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.cli.commands import commands
from tests.cli.running import ROOT, sentinel

COMMANDS = commands()
TABLES = [
    ("incidents", "list"), ("incidents", "show"), ("approvals", "list"), ("approvals", "show"), ("audit", "list"),
    ("audit", "verify"), ("check",), ("explain",), ("replay",), ("replay-incident",), ("audit", "heads"), ("kill-switch", "show"), ("breakers", "list"), ("notifications", "list"), ("notifications", "dead"), ("notifications", "replay"), ("policy", "explain"), ("test",),
]  # fmt: skip


def test_no_command_is_missing() -> None:
    assert {words[0] for words in COMMANDS} >= {
        "demo", "up", "run", "worker", "api", "broker", "fleet", "produce", "replay", "check", "schema", "explain",
        "incidents", "approvals", "audit", "keys", "kill-switch",
        "breakers", "policy", "test",
    }  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_says_what_the_command_is_for_and_explains_every_parameter(words: tuple[str, ...]) -> None:
    result = sentinel(*words, "--help", env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    assert result.exit_code == 0
    shown = " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.stdout).split())
    command = COMMANDS[words]
    purpose = " ".join((command.help or "").split("\n\n")[0].split())
    assert len(purpose) > 15, "no purpose"
    assert purpose in shown
    for parameter in command.params:
        if parameter.name == "help":
            continue
        assert len(parameter.help or "") > 10, f"{parameter.name} is not explained"
        called = parameter.opts[0] if parameter.param_type_name == "option" else parameter.name
        assert called in shown


@pytest.mark.parametrize("words", TABLES, ids=" ".join)
def test_where_there_is_a_table_there_is_json(words: tuple[str, ...]) -> None:
    assert any("--json" in parameter.opts for parameter in COMMANDS[words].params)


@pytest.mark.parametrize(
    "group", ["incidents", "approvals", "audit", "keys", "kill-switch", "breakers", "policy", "notifications"]
)
def test_a_group_without_a_command_lists_its_commands(group: str) -> None:
    shown = sentinel(group).output
    for words in COMMANDS:
        if words[0] == group:
            assert words[1] in shown


def test_the_top_help_names_every_command_and_the_exit_codes() -> None:
    shown = sentinel("--help").stdout
    for words in COMMANDS:
        assert words[0] in shown
    codes = " ".join(re.sub(r"[│╭╮╰╯─]", " ", shown).split())
    assert "Exit codes: 0 done; 1 the answer is no" in codes
    for meaning in ("2 bad arguments or configuration", "3 a rule refused it", "4 a service that is needed"):
        assert meaning in codes


def test_the_version_is_printed() -> None:
    assert re.fullmatch(r"sentinel \d+\.\d+\.\d+\n", sentinel("--version").stdout)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["incident", "list"], "incident"),
        (["incidents", "list", "--stauts", "open"], "--status"),
        (["incidents", "list", "--status", "closed"], "resolved"),
        (["incidents", "list", "--limit", "0"], "greater than or equal to 1"),
        (["incidents", "show"], "incident_id"),
        (["run", "everything"], "pipeline"),
        (["check", "no-such-file.yaml"], "no-such-file.yaml"),
        (["replay", "no-such-file.csv"], "no-such-file.csv"),
        (["produce", "no-such-file.jsonl"], "no-such-file.jsonl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_arguments_exit_with_2_and_say_what_would_do(arguments: list[str], named: str) -> None:
    result = sentinel(*arguments, env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    assert result.exit_code == 2
    assert named.lower() in result.stderr.lower()


@pytest.mark.slow
def test_help_needs_none_of_the_heavy_libraries() -> None:
    heavy = "{'numpy', 'bytewax', 'numba', 'sqlalchemy', 'fastapi', 'langgraph', 'qdrant_client', 'river', 'httpx'}"
    program = f"import sys, sentinel.cli.app; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not done.stdout.split()
