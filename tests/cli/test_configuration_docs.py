"""What is generated is current, every setting is explained, and what the documents show really works."""

from __future__ import annotations

import inspect
import re
import runpy
import shlex
import subprocess
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from remediation.runbooks import Runbook
from remediation.settings import PolicySettings
from sentinel.catalogue import ServiceCatalogue
from sentinel.cli.settings import Settings
from sentinel.config import Section
from sentinel.config_files import parse_text, validate
from tests.cli.commands import commands
from tests.cli.running import ROOT, parsed, sentinel

DOCUMENTS = [
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"))
    if path.is_file()
]
KINDS: dict[str, type[BaseModel]] = {
    "configuration": Settings, "policy": PolicySettings, "runbook": Runbook, "catalogue": ServiceCatalogue,
}  # fmt: skip
"""What a YAML block of a document may be: the word after ```yaml."""


def every_section(model: type[BaseModel], place: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every model below the root, wherever it hides in an annotation."""
    yield place, model
    for name, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            yield from every_section(inner, f"{place}.{name}".lstrip("."))


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models_in(part)]


SECTIONS = list(every_section(Settings))


def test_the_walk_finds_the_sections() -> None:
    assert len(SECTIONS) > 30
    assert "remediation.policy.allow" in dict(SECTIONS)


@pytest.mark.parametrize(("place", "model"), SECTIONS, ids=[place or "root" for place, _ in SECTIONS])
def test_every_setting_is_explained(place: str, model: type[BaseModel]) -> None:
    assert issubclass(model, Section), f"{model} does not refuse unknown keys"
    assert model.__doc__, f"{model.__name__} has no docstring"
    for name, field in model.model_fields.items():
        assert len(field.description or "") >= 10, f"{place}.{name} needs a docstring below it"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config/sentinel.schema.json", "docs/configuration.md"])
def test_what_is_generated_is_current(name: str) -> None:
    names = runpy.run_path(str(ROOT / "scripts" / "check_generated.py"))
    [command] = [command for file, command in names["GENERATED"] if file == name]
    assert not names["difference"](name, names["generate"](command)), "run scripts/check_generated.py --write"


def test_the_schema_is_what_sentinel_schema_prints_and_knows_every_key() -> None:
    schema = parsed(sentinel("schema"))
    assert schema["properties"].keys() == Settings.model_fields.keys()
    assert schema["additionalProperties"] is False
    assert "for" in schema["$defs"]["Rule"]["properties"]
    assert schema["$defs"]["PolicySettings"]["properties"]["mode"]["description"].startswith("`observe` analyses")


def test_the_reference_has_every_key_of_every_section() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    for place, model in SECTIONS:
        for name, field in model.model_fields.items():
            assert f"| `{field.alias or name}` |" in page, f"{place}.{name}"
    for heading in ("## `remediation.policy.allow[]`", "## `detection.rules.NAME.match`", "of kind `iqr`"):
        assert heading in page


def fenced(path: Path) -> Iterator[tuple[str, int, str]]:
    """The fenced blocks of a document: what stands after the fence, the line of its first line, and the text."""
    text = path.read_text()
    for found in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield found[1].strip(), text[: found.start(2)].count("\n") + 1, found[2]


YAML_BLOCKS = [
    pytest.param(path, line, language, text, id=f"{path.relative_to(ROOT)}:{line}")
    for path in DOCUMENTS
    for language, line, text in fenced(path)
    if language.startswith(("yaml", "yml"))
]


@pytest.mark.parametrize(("path", "line", "language", "text"), YAML_BLOCKS)
def test_every_yaml_block_of_the_documents_is_valid(path: Path, line: int, language: str, text: str) -> None:
    _, _, kind = language.partition(" ")
    assert kind in KINDS, f"{path}:{line}: say after ```yaml what it is: {', '.join(KINDS)}"
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "0" * 64)
    validate(parse_text("\n" * (line - 1) + text, path, variables), KINDS[kind])


def shell_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Every `sentinel …` that a document shows: lines of blocks without a language or of shells, and code in a sentence."""
    for language, first, text in fenced(path):
        if language not in {"", "sh", "bash", "shell", "console"}:
            continue
        joined = text.replace("\\\n", " ")
        for number, line in enumerate(joined.splitlines()):
            if found := re.match(r"\s*(?:\$ )?(?:\w+=\S+ )*(?:\.venv/bin/)?(sentinel( .*)?)$", line):
                yield first + number, found[1]
    prose = re.sub(
        r"^```.*?^```$", lambda block: "\n" * block[0].count("\n"), path.read_text(), flags=re.MULTILINE | re.DOTALL
    )
    for found in re.finditer(r"`(sentinel [^`]*)`", prose):
        yield prose[: found.start()].count("\n") + 1, found[1]


COMMAND_LINES = [
    pytest.param(line, id=f"{path.relative_to(ROOT)}:{number}")
    for path in DOCUMENTS
    for number, line in shell_lines(path)
]


def test_the_documents_show_commands() -> None:
    assert len(COMMAND_LINES) > 15


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_every_command_that_the_documents_show_exists_with_its_options(line: str) -> None:
    line = re.split(r"\s(?:#|>|\||&&)\s?", line.replace("…", ""))[0]
    for each in spelled_out(line):
        check_command(shlex.split(each)[1:])


def spelled_out(line: str) -> list[str]:
    """`a b|c` and `a {b,c}` stand for two commands."""
    found = re.search(r"\{([^}]*,[^}]*)\}|(?<=\s)([\w-]+(?:\|[\w-]+)+)", line)
    if not found:
        return [line]
    words = re.split(r"[,|]", found[1] or found[2])
    return [each for word in words for each in spelled_out(line[: found.start()] + word.strip() + line[found.end() :])]


def check_command(words: list[str]) -> None:
    """Find the command of these words and see that it has every option, and room for the arguments."""
    tree = commands()
    if words[:1] in (["--config"], ["-c"]):
        words = words[2:]
    if not words or words[0] in {"--help", "--version"}:
        return
    path = next((name for name in tree if tuple(words[: len(name)]) == name), None)
    if path is None:
        groups = {name[0] for name in tree if len(name) > 1}
        assert len(words) == 1, f"no command `{' '.join(words)}`"
        assert words[0] in groups, f"no command {words[0]!r}"
        return
    options = {
        name: parameter for parameter in tree[path].params for name in (*parameter.opts, *parameter.secondary_opts)
    }
    rest, arguments = iter(words[len(path) :]), []
    for word in rest:
        if not word.startswith("-"):
            arguments.append(word)
            continue
        assert word in options, f"`{' '.join(path)}` has no option {word}"
        if not options[word].is_flag:
            next(rest, None)
    places = [parameter for parameter in tree[path].params if parameter.param_type_name == "argument"]
    endless = any(parameter.nargs == -1 for parameter in places)
    assert endless or len(arguments) <= len(places), f"`{' '.join(path)}` takes no {arguments}"


@pytest.mark.slow
def test_the_make_targets_that_the_documents_show_exist() -> None:
    shown = {
        found for path in DOCUMENTS for found in re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(), re.MULTILINE)
    }
    assert {"demo", "test"} <= shown
    for target in sorted(shown):
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"make {target}: {done.stderr}"


def test_no_document_names_a_file_that_is_not_there() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in DOCUMENTS
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", path.read_text())
        if not (path.parent / target).exists()
    ]
    assert not broken
