"""What an action would change now and what would undo it: both are dry runs on the live target, before anything is allowed."""

from __future__ import annotations

from dataclasses import replace

from remediation.catalogue import describe
from remediation.executors.protocol import Executor, TargetState
from remediation.parts import Parts
from sentinel.errors import PermanentError, RefusedError
from sentinel.plans import Action, Preview

RULE = "undo_not_rehearsed"
"""The rule that refuses an action whose promised undo did not go through its own dry run."""


def rehearse(parts: Parts, action: Action) -> Preview:
    """The preview of the action; its text ends with what would undo it, or that nothing can.

    Raises what the executor's dry run raises, and `RefusedError` (rule `undo_not_rehearsed`) where the catalogue calls
    the action reversible and its inverse is missing or is refused as a dry run.
    """
    executor = parts.executor(action.target)
    preview = executor.dry_run(action)
    return replace(preview, text=f"{preview.text}; {_way_back(executor, action, preview)}")


def _way_back(executor: Executor, action: Action, preview: Preview) -> str:
    if preview.before == preview.after:
        return "nothing to undo"
    before = TargetState(resource_version=preview.resource_version, fields=preview.before)
    inverse = executor.inverse(action, before)
    if inverse is None:
        if action.reversible:
            raise RefusedError(RULE, f"{describe(action)} counts as reversible, and nothing is known to undo it here")
        return "cannot be undone"
    try:
        executor.dry_run(inverse)
    except PermanentError as error:
        text = f"{describe(inverse)}, which would undo {describe(action)}, was refused as a dry run: {error}"
        raise RefusedError(RULE, text) from error
    return f"undone by {describe(inverse)} (rehearsed)"
