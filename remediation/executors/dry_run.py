"""Records what would be done and changes nothing: the executor of a new installation."""

from __future__ import annotations

from dataclasses import dataclass

from remediation.executors.protocol import Applied, Executor, TargetState
from sentinel.errors import RefusedError
from sentinel.logs import get_logger
from sentinel.plans import Action, Preview, Target

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One action that would have been applied."""

    key: str
    action: Action


class DryRunExecutor:
    """Looks at live targets through another executor, and only writes down what it is told to apply."""

    def __init__(self, looks: Executor) -> None:
        self._looks = looks
        self.backend = looks.backend
        self._answers: dict[str, Applied] = {}
        self.recorded: list[Recorded] = []
        """What would have been applied, in order, each idempotency key once."""

    def describe(self, action: Action) -> str:
        """See `Executor.describe`."""
        return f"dry run of: {self._looks.describe(action)}"

    def observe(self, target: Target) -> TargetState:
        """See `Executor.observe`."""
        return self._looks.observe(target)

    def dry_run(self, action: Action) -> Preview:
        """See `Executor.dry_run`."""
        return self._looks.dry_run(action)

    def apply(self, action: Action, resource_version: str, idempotency_key: str) -> Applied:
        """Write the action down; `changed` of the answer is False. Insists on the version as a real executor would."""
        if idempotency_key in self._answers:
            return self._answers[idempotency_key]
        now = self._looks.observe(action.target)
        if now.resource_version != resource_version:
            raise RefusedError("drift", f"{action.target.name} is at {now.resource_version}, not {resource_version}")
        log.info("would apply", action=action.type, target=action.target.key, params=action.params)
        self.recorded.append(Recorded(idempotency_key, action))
        answer = Applied(changed=False, before=now, after=now, effective_at=0.0, downtime=0.0)
        self._answers[idempotency_key] = answer
        return answer

    def verify_applied(self, action: Action, applied: Applied) -> str:
        """Nothing was promised, so nothing is missing."""
        return ""

    def inverse(self, action: Action, before: TargetState) -> Action | None:
        """See `Executor.inverse`."""
        return self._looks.inverse(action, before)

    def close(self) -> None:
        """See `Executor.close`."""
        self._looks.close()
