"""One event of a producer, looked at closely: the slow and exact way of `telemetry`, with the closed list of reasons."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from sentinel.series import SERVICE_LABEL

EARLIEST = 946_684_800.0
"""2000-01-01T00:00:00Z: earlier event times are absurd."""
LATEST = 4_102_444_800.0
"""2100-01-01T00:00:00Z: event times from here on are absurd (milliseconds instead of seconds, most often)."""


class Reason(StrEnum):
    """Why an event was rejected: a closed list, the header `reason` on `telemetry.rejected` and the metric's label."""

    NOT_JSON = "not_json"
    NOT_AN_EVENT = "not_an_event"
    MISSING_FIELD = "missing_field"
    BAD_TYPE = "bad_type"
    NOT_FINITE = "not_finite"
    ABSURD_TIME = "absurd_time"
    FAR_FUTURE = "far_future"
    MISSING_SERVICE = "missing_service"
    TOO_LARGE = "too_large"
    TOO_MANY_LABELS = "too_many_labels"


@dataclass(frozen=True, slots=True)
class BadEvent:
    """A reason of the closed list, and one sentence for a person."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class GoodEvent:
    """A checked event: `ts` in epoch seconds."""

    ts: float
    name: str
    value: float
    labels: dict[str, str]


_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


def read_events(data: bytes, max_bytes: int) -> list[Any] | BadEvent:
    """The events of one message as plain values, or the reason why the message as a whole is none."""
    if len(data) > max_bytes:
        return BadEvent(Reason.TOO_LARGE, f"the message has {len(data)} bytes, at most {max_bytes} are allowed")
    try:
        value = json.loads(data.decode("utf-8"), parse_int=_integer)
    except UnicodeDecodeError as error:
        return BadEvent(Reason.NOT_JSON, f"not UTF-8 at byte {error.start}")
    except RecursionError:
        return BadEvent(Reason.NOT_JSON, "nested too deeply")
    except ValueError as error:
        return BadEvent(Reason.NOT_JSON, str(error)[:200])
    return _unpack(value)


def _unpack(value: Any) -> list[Any] | BadEvent:
    if isinstance(value, dict) and "events" in value and "ts" not in value:
        if type(value.get("v")) is not int or value["v"] != 1:
            return BadEvent(
                Reason.NOT_AN_EVENT, f"version {str(value.get('v'))[:20]!a} of a batch is not known; send 1"
            )
        value = value["events"]
        if not isinstance(value, list):
            return BadEvent(Reason.NOT_AN_EVENT, "`events` must be an array")
    if isinstance(value, list):
        return value or BadEvent(Reason.NOT_AN_EVENT, "the batch is empty")
    return [value]


def _integer(digits: str) -> int | float:
    """Integers beyond a double are infinite: Python refuses to read thousands of digits, and nobody measures them."""
    return int(digits) if len(digits) <= 310 else math.inf


def check_event(event: Any, max_text: int, max_labels: int) -> GoodEvent | BadEvent:
    """Check one event field by field; the first thing wrong is the reason."""
    if not isinstance(event, dict):
        return BadEvent(Reason.NOT_AN_EVENT, f"an event must be an object, not {_kind(event)}")
    missing = [field for field in ("ts", "name", "value", "labels") if field not in event]
    if missing:
        return BadEvent(Reason.MISSING_FIELD, f"the event has no {', '.join(missing)}")
    ts = _time(event["ts"])
    if isinstance(ts, BadEvent):
        return ts
    value = _number(event["value"], "value")
    if isinstance(value, BadEvent):
        return value
    bad = _bad_text(event["name"], "name", max_text) or _bad_labels(event["labels"], max_text, max_labels)
    return bad or GoodEvent(ts, event["name"], value, event["labels"])


def event_bytes(event: Any) -> bytes:
    """One event of a batch as JSON again, with the same NaN and Infinity tokens that it came with."""
    try:
        return json.dumps(event).encode()
    except (RecursionError, ValueError):  # nested too deeply, or an integer of thousands of digits
        return b'"(could not be written)"'


def _time(ts: Any) -> float | BadEvent:
    if not isinstance(ts, str):
        return _number(ts, "ts")
    try:
        return msgspec.convert(ts, _Instant).timestamp()
    except (msgspec.ValidationError, OverflowError):
        return BadEvent(Reason.BAD_TYPE, f"ts {ts[:40]!a} is neither a number nor RFC 3339 with a zone")


def _number(value: Any, field: str) -> float | BadEvent:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return BadEvent(Reason.BAD_TYPE, f"{field} must be a number, not {_kind(value)}")
    try:
        number = float(value)
    except OverflowError:
        return BadEvent(Reason.NOT_FINITE, f"{field} is larger than a double can hold")
    if not math.isfinite(number):
        return BadEvent(Reason.NOT_FINITE, f"{field} is {number}")
    return number


def _bad_text(text: Any, what: str, limit: int) -> BadEvent | None:
    """A reason when `text` is no string of 1 to `limit` characters that every store can hold."""
    if not isinstance(text, str):
        return BadEvent(Reason.BAD_TYPE, f"{what} must be a string, not {_kind(text)}")
    if not text:
        return BadEvent(Reason.MISSING_FIELD, f"{what} is empty")
    if len(text) > limit:
        return BadEvent(Reason.TOO_LARGE, f"{what} has {len(text)} characters, at most {limit} are allowed")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        return BadEvent(Reason.BAD_TYPE, f"{what} holds a NUL or half a surrogate pair")
    return None


def _bad_labels(labels: Any, max_text: int, max_labels: int) -> BadEvent | None:
    if not isinstance(labels, dict):
        return BadEvent(Reason.BAD_TYPE, f"labels must be an object, not {_kind(labels)}")
    if len(labels) > max_labels:
        return BadEvent(Reason.TOO_MANY_LABELS, f"{len(labels)} labels, at most {max_labels} are allowed")
    if not labels.get(SERVICE_LABEL):
        return BadEvent(Reason.MISSING_SERVICE, f"the label {SERVICE_LABEL!r} is missing or empty")
    for key, value in labels.items():
        bad = _bad_text(key, "a label's name", max_text)
        if bad is None and value != "":
            bad = _bad_text(value, f"label {key[:40]!a}", max_text)
        if bad is not None:
            return bad
    return None


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
