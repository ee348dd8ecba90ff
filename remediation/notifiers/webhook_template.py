"""Bodies of webhooks: a YAML or JSON file whose texts name values. Nothing in it is code; checked before anything is sent.

The file is read as a structure and values are put in afterwards, so that no text of an incident can become a key, close
a string or name another value. A text that is one placeholder alone becomes the value itself: number, list, object, null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from remediation.notifiers.pagerduty_events import approval_url, incident_url
from sentinel.canonical import plain
from sentinel.config_files import Document, Place, parse_file
from sentinel.errors import ConfigError
from sentinel.notifications import Event, Notification, Question, Told

Values = Mapping[str, Any]
Body = Callable[[Values], Any]
"""From the values of one notification to the JSON value that is sent."""

_HOLE = re.compile(r"\{\{\s*([a-z_]+(?:\.[a-z_]+)?)\s*\}\}")
_TOP = (
    "v",
    "id",
    "destination",
    "kind",
    "text",
    "at",
    "at_text",
    "trace_id",
    "result",
    "final",
    "incident",
    "approval",
)
NAMES = frozenset(
    (
        *_TOP,
        *(f"incident.{name}" for name in (*Told.__dataclass_fields__, "url")),
        *(f"approval.{name}" for name in (*Question.__dataclass_fields__, "url")),
    )
)
"""Every name that a template may use."""


def values_of(notification: Notification, public_url: str) -> Values:
    """The standard body, whose parts templates name. `approval` is null where the event has none."""
    event = notification.event
    return {
        "v": event.v,
        "id": notification.id,
        "destination": notification.destination,
        "kind": event.kind.value,
        "text": event.text,
        "at": event.at,
        "at_text": datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds"),
        "trace_id": event.trace_id,
        "result": event.result,
        "final": event.final,
        "incident": {**plain(asdict(event.incident)), "url": incident_url(public_url, event)},
        "approval": _approval(event, public_url),
    }


def standard_body(values: Values) -> Any:
    """What is sent without a template."""
    return values


def load_template(path: Path, env: Mapping[str, str]) -> Body:
    """Read a template; raises `ConfigError` that lists every mistake, one per line, as `file:line: ...`."""
    document = parse_file(path, env)
    if mistakes := list(_mistakes(document, document.value, ())):
        raise ConfigError("\n".join(mistakes))
    return lambda values: _fill(document.value, values)


def _mistakes(document: Document, value: Any, place: Place) -> Iterator[str]:
    where = f"{document.path}:{document.line(place)}"
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or "{{" in key:
                yield f"{document.path}:{document.line((*place, key))}: the key {key!r} must be a text without placeholders"
            else:
                yield from _mistakes(document, item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _mistakes(document, item, (*place, index))
    elif isinstance(value, str):
        yield from (f"{where}: {problem}" for problem in _problems(value))
    elif not (value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))):
        yield f"{where}: {value!r} is no JSON value; put it in quotes"


def _problems(text: str) -> Iterator[str]:
    for name in _HOLE.findall(text):
        if name not in NAMES:
            close = get_close_matches(name, NAMES, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(NAMES))}"
            yield f"there is no value {name!r}; {hint}"
    if "{{" in (rest := _HOLE.sub("", text)):
        start = rest[rest.index("{{") :][:40]
        yield f"{start!r} is no placeholder; say {{{{ name }}}}, such as {{{{ incident.title }}}}"


def _fill(value: Any, values: Values) -> Any:
    if isinstance(value, dict):
        return {key: _fill(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, values) for item in value]
    if not isinstance(value, str):
        return value
    if whole := _HOLE.fullmatch(value):
        return _look_up(whole[1], values)
    # One pass over the template's own text: what is put in is never read again.
    return _HOLE.sub(lambda hole: _spell(_look_up(hole[1], values)), value)


def _look_up(name: str, values: Values) -> Any:
    """The value; null for a part of an approval that there is not."""
    first, _, rest = name.partition(".")
    value = values[first]
    return value if not rest else None if value is None else value[rest]


def _spell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return ", ".join(_spell(item) for item in value)
        case dict():
            return ", ".join(f"{key}: {_spell(item)}" for key, item in value.items())
        case _:
            return str(value)


def _approval(event: Event, public_url: str) -> dict[str, Any] | None:
    if event.approval is None:
        return None
    return {**plain(asdict(event.approval)), "url": approval_url(public_url, event)}
