"""Prints docs/configuration.md: every key of the configuration with type, default and docstring, from the models."""

import inspect
import json
import re
import sys
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

# A script's own folder comes first on the path; the rooms are one above.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from operators.rules import DetectionSettings
from sentinel.cli.settings import Settings
from sentinel.config import Section

HEAD = """\
# Configuration

Generated from the code by `scripts/generate_configuration.py`; edit the docstrings there, not this page.

One YAML file. An empty one is valid: it detects on the local broker and never acts. [`config/sentinel.yaml`](../config/sentinel.yaml) is an example to
copy. Sentinel takes the file of `--config`, else of `$SENTINEL_CONFIG`, else `./sentinel.yaml`, else what the last demo left. `sentinel check FILE` shows what a file will do.

- An unknown key is an error that names `file:line` and the nearest key.
- `${NAME}` in a value is the environment variable of that name, and an error when it is not set; `$${NAME}` is the text itself.
- Durations are in seconds, ratios in 0 to 1, unless the key says otherwise.
- `# yaml-language-server: $schema=sentinel.schema.json` in the first line lets an editor complete and check the file.
"""
BUILT_IN = """\
## The built-in rules

What `detection` watches when the file names no rules, with every setting that differs from the defaults above:

```yaml configuration
{rules}```
"""
_MANY = 60
"""Characters of a default beyond which only its keys are shown."""

_WORDS = {
    "AwareDatetime": "time with zone", "datetime": "date and time", "time": "time of day", "str": "text",
    "int": "whole number", "float": "number",
    "bool": "true or false", "NoneType": "null", "SecretStr": "text, secret", "JsonValue": "anything",
}  # fmt: skip
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def sections_in(annotation: Any) -> Iterator[type[Section]]:
    """Yields every section model that an annotation mentions, in its order."""
    if inspect.isclass(annotation) and issubclass(annotation, Section):
        yield annotation
    for part in typing.get_args(annotation):
        yield from sections_in(part)


def walk(model: type[Section], place: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Yields each section below `model` with its place in the file, such as `detection.rules.NAME`, outermost first."""
    yield place, model
    for name, field in model.model_fields.items():
        for section in sections_in(field.annotation):
            yield from walk(section, f"{place}.{key_of(name, field)}{many(field.annotation)}".lstrip("."))


def many(annotation: Any) -> str:
    """What stands between the key and the section: nothing, `.NAME` for a map, `[]` for a list."""
    origin = typing.get_origin(annotation)
    return ".NAME" if origin is dict else "[]" if origin in (list, tuple) else ""


def key_of(name: str, field: FieldInfo) -> str:
    """The key as it is written in the file."""
    return field.alias or name


def type_of(annotation: Any) -> str:
    """A type in words that a reader of YAML knows."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_of(parts[0])
    if origin is typing.Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin is dict:
        return f"map of {type_of(parts[0])} to {type_of(parts[1])}"
    if origin in (list, tuple):
        endless = origin is list or Ellipsis in parts
        return f"list of {type_of(parts[0])}" if endless else f"[{', '.join(type_of(part) for part in parts)}]"
    if origin is not None:
        return " or ".join(dict.fromkeys(type_of(part) for part in parts))
    if inspect.isclass(annotation) and issubclass(annotation, Section):
        return "section"
    if inspect.isclass(annotation) and issubclass(annotation, Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    return _WORDS[annotation.__name__]


def default_of(name: str, model: type[Section]) -> str:
    """The default as YAML has it; a large one by its keys only."""
    if model.model_fields[name].default is PydanticUndefined:
        return "required"
    shown = _as_json(model.model_fields[name].default)
    text = json.dumps(shown, ensure_ascii=False)
    if len(text) > _MANY and isinstance(shown, dict):
        return "built in: " + ", ".join(f"`{key}`" for key in shown)
    return f"`{text}`"


def _as_json(value: Any) -> Any:
    if isinstance(value, Section):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_as_json(item) for item in value]
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def one_line(text: str | None) -> str:
    """A docstring as the cell of a table."""
    return re.sub(r"\s+", " ", text or "").strip().replace("|", "\\|")


def limits_of(field: FieldInfo) -> str:
    """The bounds of a number in words; empty when it has none."""
    bounds = {name: getattr(rule, name) for rule in field.metadata for name in _BOUNDS if hasattr(rule, name)}
    return "".join(f", {_BOUNDS[name]} {bound:g}" for name, bound in bounds.items() if bound is not None)


def title_of(place: str, model: type[Section]) -> str:
    """The heading of a section; of several that may stand at one place, with the kind that chooses it."""
    kind = model.model_fields.get("kind")
    chosen = f" of kind `{kind.default}`" if kind and place.endswith(".NAME") and isinstance(kind.default, str) else ""
    chosen = "" if kind and inspect.isclass(kind.annotation) else chosen
    return f"`{place}`{chosen}" if place else "The file"


def section_page(place: str, model: type[Section]) -> str:
    """One section: its docstring and a table of its own keys; sections inside it have tables of their own."""
    rows = []
    for name, field in model.model_fields.items():
        only_section = inspect.isclass(field.annotation) and issubclass(field.annotation, Section)
        kind, default = ("section", "") if only_section else (
            type_of(field.annotation) + limits_of(field), default_of(name, model)
        )  # fmt: skip
        rows.append(f"| `{key_of(name, field)}` | {kind} | {default} | {one_line(field.description)} |")
    head = f"## {title_of(place, model)}\n\n{inspect.cleandoc(model.__doc__ or '')}\n"
    return "\n".join([head, "| key | type | default | what |", "|---|---|---|---|", *rows, ""])


def built_in_rules() -> str:
    """The built-in rules as they would stand in a file."""
    detection = DetectionSettings()
    rules = {
        key: {name: rule.model_dump(mode="json", exclude_defaults=True) for name, rule in found.items()}
        for key, found in (("rules", detection.rules), ("vectors", detection.vectors))
    }
    return yaml.safe_dump({"detection": rules}, sort_keys=False, width=110)


def main() -> None:
    """Prints the whole page."""
    seen: dict[type[Section], str] = {}
    pages = []
    for place, model in walk(Settings):
        if model not in seen:
            seen[model] = place
            pages.append(section_page(place, model))
    print("\n".join([HEAD, *pages, BUILT_IN.format(rules=built_in_rules())]), end="")


if __name__ == "__main__":
    main()
