"""How commands print: exit codes by kind of error, tables that fold and do not interpret, JSON that is only JSON."""

from __future__ import annotations

import json

import pytest
import typer

from sentinel.alerts import Severity
from sentinel.cli import output
from sentinel.errors import ConfigError, PermanentError, RefusedError, SentinelError, StorePathBusyError, TransientError
from sentinel.series import Window


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("mine.yaml:3: wrong"), 2),
        (RefusedError("policy", "not today"), 3),
        (TransientError("the broker is away"), 4),
        (PermanentError("no such row"), 1),
        (StorePathBusyError("another process has it"), 1),
        (SentinelError("anything else"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_kind_of_error_has_its_exit_code_and_its_text_on_stderr(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    @output.exit_codes
    def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as caught:
        command()
    assert caught.value.exit_code == code
    printed = capsys.readouterr()
    assert not printed.out
    assert str(error) in printed.err


def test_an_error_that_nobody_foresaw_stays_a_traceback() -> None:
    @output.exit_codes
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command()


def test_a_command_without_an_error_returns_what_it_returns() -> None:
    assert output.exit_codes(lambda number: number + 1)(1) == 2


def test_an_error_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[bold]mine.yaml:3[/bold]: " + "a long sentence " * 20 + "its end"
    with pytest.raises(typer.Exit):
        output.fail(text, 2)
    assert capsys.readouterr().err == text + "\n"


def test_a_time_is_utc_and_none_is_empty() -> None:
    assert output.at(0.0) == "1970-01-01 00:00:00"
    assert output.at(1_795_424_400.9) == "2026-11-23 09:00:00"
    assert output.at(None) == ""


def test_a_table_shows_everything_and_takes_no_cell_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    labels = "error_ratio[5m]{service=[red]cart[/red]}"
    output.print_table("Things", ("name", "value"), [(labels, 1), (None, Severity.ERROR)])
    printed = capsys.readouterr().out
    assert labels in printed
    assert "error" in printed
    assert "None" not in printed


def test_json_is_the_vocabulary_in_plain_values(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"windows": (Window(1.0, 2.0),), "severity": Severity.INFO, "name": "Zürich"})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"windows": [{"start": 1.0, "end": 2.0}], "severity": "info", "name": "Zürich"}
    assert "Zürich" in printed
