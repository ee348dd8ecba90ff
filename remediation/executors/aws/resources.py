"""What the kinds of objects in AWS have in common for the executor: a look, what an action would make of it, the act."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from remediation.executors.protocol import TargetState
from sentinel.errors import RefusedError
from sentinel.plans import Action, Scalar

NEW = "new"
"""In the fields that an action would leave: a value that only AWS gives, different from the one before."""

PREFIX = "sentinel:"
"""Before the keys of Sentinel's own tags."""

KEY, BEGUN, BEFORE = "key", "begun", "before"
"""Marks that are written right before an act: its idempotency key, the wall time, and the state before it."""

ANSWERED = "answered"
"""Mark that an act which leaves no other trace was answered; its value is the idempotency key."""

Fields = dict[str, Scalar]
"""The fields of an object's state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """An object as it is now.

    `fields`: what is decided about it, never how far that has come, so that a roll-out in progress is no drift.
    `marks`: Sentinel's own tags without their prefix. `waits_for`: what is still missing until it runs as decided,
    empty when nothing is. `failed`: why it never will.
    """

    fields: Fields
    marks: Mapping[str, str]
    waits_for: str = ""
    failed: str = ""

    @property
    def state(self) -> TargetState:
        """The fields with their version: AWS has none, so it is a digest of the fields."""
        return TargetState.of(self.fields)


class Resource(Protocol):
    """One object. Every method is one or a few calls with a deadline each; errors are Sentinel's."""

    text: str
    """What it is and where, for a person."""

    def look(self) -> Look:
        """The object as it is now; raises `PermanentError` when there is none."""

    def wanted(self, action: Action, fields: Fields) -> Fields:
        """The fields that the action would change, with their values after it.

        Raises `RefusedError` when it must not be done to an object with these fields.
        """

    def rehearse(self, action: Action) -> None:
        """Ask AWS whether it would let us, where AWS can be asked; raises what the act would raise."""

    def mark(self, marks: Mapping[str, str]) -> None:
        """Write tags of Sentinel's own."""

    def act(self, action: Action, wanted: Fields) -> None:
        """Do it: one call, sent once. `UnansweredError` when nobody knows whether it had its effect."""

    def undo(self, action: Action, before: Fields) -> tuple[str, dict[str, Scalar]] | None:
        """Type and parameters of the action that puts `before` back, or None where nothing does."""


def marks_of(tags: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Sentinel's own tags among all, without their prefix."""
    return {key.removeprefix(PREFIX): value for key, value in tags if key.startswith(PREFIX)}


def shows(fields: Fields, before: Fields, wanted: Fields) -> bool:
    """Whether the wanted values are there."""
    return all(fields[key] != before[key] if value == NEW else fields[key] == value for key, value in wanted.items())


def pack(fields: Fields) -> str:
    """The fields as the value of a tag: their values in the order of their names.

    Raises `RefusedError` (rule `marks`) when a tag cannot hold them.
    """
    text = " ".join(str(fields[key]) or "-" for key in sorted(fields))
    if len(text) > 256 or text.count(" ") != len(fields) - 1:
        raise RefusedError("marks", f"the state before the action does not fit into a tag: {text}")
    return text


def unpack(text: str, like: Fields) -> Fields | None:
    """The fields that `pack` wrote, with the types of `like`; None when it wrote them for another kind of object."""
    values, names = text.split(" "), sorted(like)
    if len(values) != len(names):
        return None
    read: Fields = {}
    for name, value in zip(names, values, strict=True):
        if isinstance(like[name], int):
            if not value.lstrip("-").isdigit():
                return None
            read[name] = int(value)
        else:
            read[name] = "" if value == "-" else value
    return read


def no_such_action(action: Action, text: str) -> RefusedError:
    """For an action type that this kind of object does not know."""
    return RefusedError("catalogue", f"{action.type} cannot be done to {text}")
