"""The planner that always works: runbooks, no model. Prefers what was verified for the incident that this one repeats."""

from __future__ import annotations

from collections.abc import Sequence

from remediation.catalogue import Proposal, Step
from remediation.evidence import Analysis, FailedAttempt
from remediation.objections import read_objections
from remediation.runbooks import Runbook, fits, steps_of
from sentinel.outcomes import Outcome, Result


class RunbookPlanner:
    """Takes the first runbook that fits; pure apart from the runbooks that it was given.

    Order: runbooks with an action that a rejection of this run would rather see, those verified for the cited incident,
    then priority and name. A runbook that failed or was rejected in this run, or one with an action that failed or that
    nobody wants, is left out.
    """

    name = "runbook"

    def __init__(self, runbooks: Sequence[Runbook]) -> None:
        self._runbooks = tuple(runbooks)

    def plan(self, analysis: Analysis, failed: Sequence[FailedAttempt]) -> Proposal | None:
        """See `Planner.plan`."""
        verified = {outcome.runbook: outcome for outcome in analysis.past if outcome.result is Result.VERIFIED}
        objections = read_objections(failed)
        ordered = sorted(
            self._runbooks,
            key=lambda book: (
                not _has(book, objections.preferred),
                book.name not in verified,
                book.priority,
                book.name,
            ),
        )
        tried = {attempt.runbook for attempt in failed}
        for book in (one for one in ordered if one.name not in tried and not _has(one, objections.excluded)):
            cites = fits(book, analysis)
            steps = steps_of(book, analysis) if cites else None
            if steps and not _repeats(steps, failed):
                return _propose(self.name, book, steps, cites, analysis, verified.get(book.name))
        return None


def _has(book: Runbook, types: frozenset[str]) -> bool:
    return any(step.action in types for step in book.steps)


def _repeats(steps: Sequence[Step], failed: Sequence[FailedAttempt]) -> bool:
    done = [(action.type, action.target.serves, action.params) for attempt in failed for action in attempt.deeds]
    return any((step.type, step.service, step.params) in done for step in steps)


def _propose(
    planner: str,
    book: Runbook,
    steps: tuple[Step, ...],
    cites: tuple[str, ...],
    analysis: Analysis,
    precedent: Outcome | None,
) -> Proposal:
    summary = f"{book.title}. Expected: {book.expect}"
    if precedent:
        summary = f"{book.title} ({book.name} was verified for {precedent.incident_id}). Expected: {book.expect}"
        cites = (*cites, *analysis.ids("outcome", precedent.service))
    return Proposal(planner=planner, runbook=book.name, summary=summary, steps=steps, cites=tuple(dict.fromkeys(cites)))
