"""Bad configuration stops with `file:line`, the key and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.config import Section
from sentinel.config_files import load_file, parse_text, validate
from sentinel.errors import ConfigError


class Rule(Section):
    """A nested section."""

    window: int = 60
    """Seconds."""


class Settings(Section):
    """A root section."""

    name: str = "x"
    """A name."""
    rules: dict[str, Rule] = {}
    """Named rules."""
    steps: list[Rule] = []
    """Listed rules."""
    only: Rule | None = None
    """An optional one."""


def read(text: str, **env: str) -> Settings:
    return validate(parse_text(text, Path("s.yaml"), env), Settings)


def complaint(text: str, **env: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text, **env)
    return str(caught.value)


def test_a_good_file_is_read_with_variables(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text("name: a-${WHO}-$${KEPT}\nrules:\n  r1:\n    window: ${SECONDS}\n")
    got = load_file(path, Settings, {"WHO": "me", "SECONDS": "30"})
    assert got.name == "a-me-${KEPT}"
    assert got.rules["r1"].window == 30


def test_an_empty_file_gives_the_defaults() -> None:
    assert read("") == Settings()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nmae: a\n", "s.yaml:1: unknown key 'nmae'; did you mean 'name'?"),
        ("name: a\nrules:\n  r1:\n    windw: 3\n", "s.yaml:4: unknown key 'rules.r1.windw'; did you mean 'window'?"),
        ("steps:\n- window: 1\n- widnow: 2\n", "s.yaml:3: unknown key 'steps.1.widnow'; did you mean 'window'?"),
        ("only:\n  winow: 2\n", "s.yaml:2: unknown key 'only.winow'; did you mean 'window'?"),
        ("zzzzzz: 1\n", "known keys here: name, only, rules, steps"),
        ("rules:\n  r1:\n    window: soon\n", "s.yaml:3: rules.r1.window: Input should be a valid integer"),
        ("name: a\nname: b\n", "s.yaml:2: 'name' stands twice (first in line 1)"),
        ("name: ${NOT_SET}\n", "s.yaml:1: the environment variable NOT_SET is not set"),
        ("name: ${9}\n", "s.yaml:1: ${9} is not the name"),
        ("a: [1\n", "s.yaml:2: not valid YAML"),
        ("- 1\n", "s.yaml:1: the file: Input should be a valid dictionary"),
    ],
)
def test_a_mistake_is_placed_and_explained(text: str, says: str) -> None:
    assert says in complaint(text)


def test_every_mistake_is_listed() -> None:
    assert complaint("nmae: 1\nstesp: 2\n").count("s.yaml:") == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        load_file(tmp_path / "none.yaml", Settings, {})
