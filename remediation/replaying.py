"""Runs the recorded steps of an incident again, and says what comes out differently. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pydantic

from remediation.steps import STEPS, Ground, run_recorded
from sentinel.errors import PermanentError
from sentinel.steps import StepRecord, decision_hash
from sentinel.stores.sql.steps import StepStore, digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first place where a replay is not what was recorded.

    `number` and `step` name the step; `path` the value in its output, `/verdict/answer`, empty for the step as a whole.
    """

    number: int
    step: str
    attempt: int
    path: str
    recorded: Any
    replayed: Any
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReplay:
    """What became of one run: how many of its `steps` came out the same, the decision hash then and now."""

    run_id: str
    steps: int
    same: int
    recorded_hash: str
    replayed_hash: str
    difference: Difference | None


def replay_run(
    store: StepStore, records: Sequence[StepRecord], audited: str, ground: Ground | None = None
) -> RunReplay:
    """Run the steps of one run again, in their order, each from its own recorded inputs.

    `audited` is the decision hash that the audit holds, empty for a run that has not ended. `ground` replaces the
    recorded settings: what would be decided under others.
    """
    difference: Difference | None = None
    replayed: list[StepRecord] = []
    same = 0
    for record in records:
        output, found = _replay(store, record, ground)
        replayed.append(replace(record, output=output, ground=digest_of(ground.plain()) if ground else record.ground))
        same += found is None
        difference = difference or found
    recorded = audited or decision_hash(records)
    if difference is None and decision_hash(records) != recorded:
        difference = _unvouched(records)
    return RunReplay(
        run_id=records[0].run_id,
        steps=len(records),
        same=same,
        recorded_hash=recorded,
        replayed_hash=decision_hash(replayed),
        difference=difference,
    )


def first_difference(recorded: Any, replayed: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """The first place where two plain values differ, by sorted keys: (path, recorded, replayed)."""
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        pairs: Iterable[tuple[str, Any, Any]] = (
            (key, recorded.get(key), replayed.get(key)) for key in sorted(recorded.keys() | replayed.keys())
        )
    elif isinstance(recorded, list) and isinstance(replayed, list) and len(recorded) == len(replayed):
        pairs = ((str(index), *both) for index, both in enumerate(zip(recorded, replayed, strict=True)))
    else:
        return None if recorded == replayed else (path, recorded, replayed)
    return next((found for key, one, other in pairs if (found := first_difference(one, other, f"{path}/{key}"))), None)


def _replay(store: StepStore, record: StepRecord, ground: Ground | None) -> tuple[str, Difference | None]:
    """The digest of what comes out now, and how it differs."""
    try:
        inputs = {name: store.content(digest) for name, digest in record.inputs.items()}
        recorded = store.content(record.output)
        stands_on = ground or Ground.of(store.content(record.ground))
        replayed = run_recorded(record.step, inputs, stands_on)
    except PermanentError as error:
        return "", _difference(record, str(error))
    except (KeyError, pydantic.ValidationError, msgspec.ValidationError) as error:
        known = ", ".join(STEPS)
        return "", _difference(record, f"this release cannot read the step (it knows {known}): {error}")
    found = first_difference(recorded, replayed)
    if found is None:
        return digest_of(replayed), None
    path, before, now = found
    reason = f"{path} was {before!r} and is {now!r}"
    return digest_of(replayed), _difference(record, reason, path, before, now)


def _difference(
    record: StepRecord, reason: str, path: str = "", recorded: Any = None, replayed: Any = None
) -> Difference:
    return Difference(
        number=record.number,
        step=record.step,
        attempt=record.attempt,
        path=path,
        recorded=recorded,
        replayed=replayed,
        reason=reason,
    )


def _unvouched(records: Sequence[StepRecord]) -> Difference:
    """Every step gives what its record says, but these are not the records that the audit vouches for."""
    return _difference(records[-1], "the records are not the ones whose hash is in the audit: they were changed since")
