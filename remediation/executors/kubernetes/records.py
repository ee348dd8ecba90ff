"""What was done under which key, kept on the object itself, so that the API server writes both or none. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from remediation.executors.kubernetes.states import Object, notes_of
from remediation.executors.protocol import TargetState

ACTIONS = "aiops-sentinel/actions"
"""Annotation that holds the latest actions, newest first."""

_KEPT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One action that was written: `at` in wall seconds; `pod` and `pod_uid` of an eviction."""

    key: str
    type: str
    at: float
    before: TargetState
    after: TargetState
    pod: str = ""
    pod_uid: str = ""


def find_record(thing: Object, key: str) -> Record | None:
    """The action under this key, or None when it is not among the latest."""
    return next((record for record in _records(thing) if record.key == key), None)


def with_record(thing: Object, record: Record) -> Object:
    """The object with one more action noted."""
    return _noted(thing, (record, *_records(thing))[:_KEPT])


def without_record(thing: Object, key: str) -> Object:
    """The object without the note of an action that did not happen after all."""
    return _noted(thing, tuple(record for record in _records(thing) if record.key != key))


def _noted(thing: Object, records: tuple[Record, ...]) -> Object:
    text = msgspec.json.encode(records).decode()
    return {**thing, "metadata": {**thing["metadata"], "annotations": {**notes_of(thing), ACTIONS: text}}}


def _records(thing: Object) -> tuple[Record, ...]:
    """None when the annotation is not ours to read: whoever may change the object may change it too."""
    try:
        return msgspec.json.decode(notes_of(thing).get(ACTIONS, "[]"), type=tuple[Record, ...])
    except msgspec.DecodeError:
        return ()
