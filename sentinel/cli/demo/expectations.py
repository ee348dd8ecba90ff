"""What the demo expects: each check has a name, a verdict and what was seen; one that fails fails the demo."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation: what should hold, whether it held, and what was seen."""

    scene: str
    name: str
    held: bool
    seen: str


@dataclass
class Expectations:
    """Collects checks while the scenes play."""

    checks: list[Check] = field(default_factory=list)

    def expect(self, scene: str, name: str, held: bool, seen: object = "") -> bool:
        """Record one check and return whether it held."""
        self.checks.append(Check(scene, name, held, str(seen)))
        return held

    @property
    def failed(self) -> list[Check]:
        """The checks that did not hold, in the order in which they were made."""
        return [check for check in self.checks if not check.held]
