"""The planner for a configuration with models: ask them first, and let the runbooks plan when that gives nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from remediation.catalogue import Proposal
from remediation.evidence import Analysis, FailedAttempt
from remediation.planners.llm_consulting import Consultant, Consultation
from remediation.planners.protocol import Planner
from sentinel.logs import get_logger
from sentinel.metrics import PLANNER_FALLBACKS

_LOG = get_logger("planner")


class LlmFirstPlanner:
    """Models propose, runbooks are the floor. `told` hears of every consultation, for timeline and audit."""

    name = "llm"

    def __init__(self, consultant: Consultant, floor: Planner, told: Callable[[Analysis, Consultation], None]) -> None:
        self._consultant = consultant
        self._floor = floor
        self._told = told

    def plan(self, analysis: Analysis, failed: Sequence[FailedAttempt]) -> Proposal | None:
        """See `Planner.plan`."""
        asked = self._consultant.consult(analysis, failed)
        self._told(analysis, asked)
        if asked.proposal is not None:
            return asked.proposal
        last = asked.tries[-1].problem if asked.tries else None
        PLANNER_FALLBACKS.labels(last.value if last else "nobody").inc()
        _LOG.warning("runbooks_plan", incident_id=analysis.incident.id, reason=asked.reason)
        return self._floor.plan(analysis, failed)
