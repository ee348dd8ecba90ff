"""What stops actions whatever a plan or an approval says. Shared by worker, API and command line; pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitch:
    """Whether everything is stopped, who said so and why. `changed_at` is wall time, 0 when it was never touched."""

    on: bool
    actor: str = ""
    reason: str = ""
    changed_at: float = 0.0

    @property
    def text(self) -> str:
        """One line for people: `on, by ann: reason`, or `off`."""
        return f"on, by {self.actor}: {self.reason}" if self.on else "off"
