"""Read a YAML file into a configuration model; every error names `file:line`, the key and the remedy."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sentinel.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[str | int, ...]

_VARIABLE = re.compile(r"\$(\$?)\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Document:
    """A parsed YAML file: its plain value and the line (from 1) of every key and item."""

    path: Path
    value: Any
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """The line of `place`, or of its nearest parent that the file spells out."""
        while place not in self.lines and place:
            place = place[:-1]
        return self.lines.get(place, 1)


def load_file(path: Path, model: type[Model], env: Mapping[str, str]) -> Model:
    """Parse and validate one file. Raises `ConfigError` that lists every mistake, one per line, as `file:line: ...`."""
    return validate(parse_file(path, env), model)


def parse_file(path: Path, env: Mapping[str, str]) -> Document:
    """Parse one YAML file, put in `${NAME}` from `env`, refuse duplicate keys; raises `ConfigError`."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return parse_text(text, path, env)


def parse_text(text: str, path: Path, env: Mapping[str, str]) -> Document:
    """Like `parse_file`, for a text that is already there; `path` is only named in errors."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        reader = _Reader(path, env, loader)
        value = {} if root is None else reader.read(root, ())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}:1: not valid YAML: {error}") from error
    finally:
        loader.dispose()
    return Document(path, value, reader.lines)


class _Reader:
    """Turns YAML nodes into plain values and remembers where each stood."""

    def __init__(self, path: Path, env: Mapping[str, str], loader: yaml.SafeLoader) -> None:
        self.path, self.env, self.loader = path, env, loader
        self.lines: dict[Place, int] = {}

    def read(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, place))
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*place, index)) for index, item in enumerate(node.value)]
        value = self.loader.construct_object(node)
        return self._fill(value, node) if isinstance(value, str) else value

    def _pairs(self, node: yaml.MappingNode, place: Place) -> Iterator[tuple[Any, Any]]:
        self.loader.flatten_mapping(node)
        for key_node, value_node in node.value:
            key = self.loader.construct_object(key_node)
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{self.path}:{line}: a key must be a plain text; put a value in braces into quotes")
            here = (*place, key)
            if here in self.lines:
                raise ConfigError(f"{self.path}:{line}: {key!r} stands twice (first in line {self.lines[here]})")
            self.lines[here] = line
            yield key, self.read(value_node, here)

    def _fill(self, text: str, node: yaml.Node) -> str:
        def value_of(match: re.Match[str]) -> str:
            escaped, name = match.groups()
            if escaped:
                return "${" + name + "}"
            line = node.start_mark.line + 1
            if not _NAME.fullmatch(name):
                raise ConfigError(f"{self.path}:{line}: ${{{name}}} is not the name of an environment variable")
            if name not in self.env:
                raise ConfigError(f"{self.path}:{line}: the environment variable {name} is not set; export it first")
            return self.env[name]

        return _VARIABLE.sub(value_of, text)


def validate(document: Document, model: type[Model]) -> Model:
    """Validate a parsed file against `model`; raises `ConfigError` with one line for each mistake."""
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        text = "\n".join(_describe(document, model, detail) for detail in error.errors())
        raise ConfigError(text) from None


def _describe(document: Document, model: type[BaseModel], detail: ErrorDetails) -> str:
    place = tuple(detail["loc"])
    where = f"{document.path}:{document.line(place)}"
    key = ".".join(str(part) for part in place)
    if detail["type"] == "extra_forbidden":
        known = _fields_at(model, place[:-1])
        close = get_close_matches(str(place[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys here: {', '.join(sorted(known))}"
        return f"{where}: unknown key {key!r}; {hint}"
    message = detail["msg"].removeprefix("Value error, ")
    value = detail["input"]
    got = f" (got {value!r})" if isinstance(value, str | int | float | bool) else ""
    return f"{where}: {key or 'the file'}: {message}{got}"


def _fields_at(model: type[BaseModel], place: Place) -> list[str]:
    """Names of the fields that the model has at `place`; what is not a field (a map's key, an index) is stepped over."""
    current: Any = model
    for part in place:
        nested = _model_of(current)
        if nested is not None and part in nested.model_fields:
            current = nested.model_fields[str(part)].annotation
        elif nested is None:
            current = _element_of(current)
    found = _model_of(current)
    return list(found.model_fields) if found else []


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        found = (_model_of(part) for part in typing.get_args(annotation))
        return next((model for model in found if model), None)
    return None


def _element_of(annotation: Any) -> Any:
    """The annotation of the values of a mapping or the items of a sequence."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _element_of(typing.get_args(annotation)[0])
    arguments = [part for part in typing.get_args(annotation) if part is not Ellipsis]
    return arguments[-1] if arguments else None
