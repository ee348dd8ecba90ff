"""What a person's reason for rejecting a plan means for the next one: actions to leave out, actions to try first. Pure.

The reason is text that anybody might have pasted from anywhere. All that is read out of it are names of the action
catalogue; it has no way to name a target, to set a parameter or to change what policy says.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from remediation.catalogue import CATALOGUE, describe
from remediation.evidence import FailedAttempt
from sentinel.errors import RefusedError
from sentinel.plans import Plan

_NOT = frozenset({"no", "not", "never", "without", "avoid", "dont", "don't", "cannot", "can't", "stop", "nor"})
_RATHER = frozenset({"use", "try", "prefer", "rather", "instead", "better", "please", "only", "just", "first"})
_NEAR = 3
"""Words before an action's name in which `not` or `rather` is about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objections:
    """Action types that people do not want in this run, and those that they would rather see."""

    excluded: frozenset[str] = frozenset()
    preferred: frozenset[str] = frozenset()


def read_objections(failed: Sequence[FailedAttempt], known: Collection[str] = CATALOGUE.keys()) -> Objections:
    """What the rejections of a run say together; what one excludes no other can prefer.

    >>> read_objections([FailedAttempt(attempt=1, runbook="", actions=(), result="not_executed", reason="",
    ...     objection="Scale instead of restarting.")])
    Objections(excluded=frozenset({'restart'}), preferred=frozenset({'scale'}))
    """
    excluded: set[str] = set()
    preferred: set[str] = set()
    for attempt in failed:
        for sentence in re.split(r"[.,;:!?\n]+", _plain(attempt.objection)):
            for name in known:
                _read(name, sentence, excluded, preferred)
    return Objections(excluded=frozenset(excluded), preferred=frozenset(preferred - excluded))


def refuse_rejected(plan: Plan, failed: Sequence[FailedAttempt]) -> None:
    """Raise `RefusedError` (rule `rejection`) for a plan that people have rejected in this run, or said not to make."""
    objections = read_objections(failed)
    for action in plan.actions:
        if action.type in objections.excluded:
            raise RefusedError("rejection", f"{describe(action)} is not wanted: a rejection of this run says so")
    wanted = [(action.type, action.target, action.params) for action in plan.actions]
    for attempt in failed:
        if attempt.objection and wanted == [(one.type, one.target, one.params) for one in attempt.actions]:
            raise RefusedError("rejection", f"this very plan was rejected in attempt {attempt.attempt}")


def _read(name: str, sentence: str, excluded: set[str], preferred: set[str]) -> None:
    pattern = rf"\b{name.replace('_', '[ _-]?')}(?:s|ed|ing)?\b"
    for found in re.finditer(pattern, sentence):
        before = re.findall(r"[\w']+", sentence[: found.start()])[-_NEAR:]
        after = re.findall(r"[\w']+", sentence[found.end() :])[:1]
        if _NOT & set(before) or before[-2:] in (["instead", "of"], ["rather", "than"]):
            excluded.add(name)
        elif _RATHER & {*before, *after}:
            preferred.add(name)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
