"""What the server itself knows of one step of a plan, for the person who is asked: computed, never taken from a planner."""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.plans import Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFacts:
    """One action. `downtime` in seconds; `replicas` live ones, None where the target shows none; `tier` None if unknown.

    `affected`: services that may notice, the target's included, sorted; empty when the target is not in the catalogue.
    `undo`: what would undo it, in words. `proof`: what must be seen before the fix counts.
    """

    action_id: str
    risk: Risk
    downtime: float
    replicas: int | None
    tier: int | None
    affected: tuple[str, ...]
    undo: str
    proof: tuple[str, ...]

    @property
    def reach(self) -> str:
        """Who may notice what, in one line."""
        if not self.affected:
            return "nobody knows who notices: the target is not in the service catalogue"
        if not self.downtime:
            return f"no downtime expected; {', '.join(self.affected)} may notice"
        gone = f"one of {self.replicas} replicas at a time" if (self.replicas or 0) > 1 else "all of it"
        return f"{gone} may be away for {self.downtime:g} s; {', '.join(self.affected)} may notice"
