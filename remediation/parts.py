"""What a run works with: everything that the nodes call, handed in once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from remediation.executors.dry_run import DryRunExecutor
from remediation.executors.protocol import Executor
from remediation.journal import Journal
from remediation.limits import SharedLimiter
from remediation.notifiers.protocol import Notifier
from remediation.planners.protocol import Planner
from remediation.settings import RemediationSettings
from sentinel.catalogue import ServiceCatalogue
from sentinel.errors import PermanentError
from sentinel.plans import Target
from sentinel.stores.sql.stores import SqlStores


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of remediation. `now` is wall time in seconds; `executors` by the backend that targets name.

    `limiter` counts beside the ledger what several Sentinels may do together; None where each is alone.
    """

    settings: RemediationSettings
    services: ServiceCatalogue
    stores: SqlStores
    planner: Planner
    executors: Mapping[str, Executor]
    notifier: Notifier
    journal: Journal
    now: Callable[[], float]
    limiter: SharedLimiter | None = None

    def executor(self, target: Target) -> Executor:
        """The executor of a target, one that only looks when policy says dry run.

        Raises `PermanentError` when there is none for its backend.
        """
        found = self.executors.get(target.backend)
        if found is None:
            known = ", ".join(sorted(self.executors)) or "none"
            raise PermanentError(f"no executor for the backend {target.backend!r} of {target.name}; there are: {known}")
        return DryRunExecutor(found) if self.settings.policy.dry_run else found
